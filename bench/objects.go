package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"example.com/journal/internal/graph"
	"example.com/journal/stacks"
)

// stackName is the stack whose tenants are replaced by those of the benchmark.
const stackName = "dev"

// tenants are the values of the key `tenants` for one size: classes alternate, and deleting is not protected.
func tenants(count int) []map[string]any {
	classes := []string{"small", "medium", "large"}
	all := make([]map[string]any, count)
	for i := range all {
		name := fmt.Sprintf("bench-%03d", i)
		all[i] = map[string]any{
			"name": name, "class": classes[i%len(classes)], "owner": "user:" + name,
			"contact": name + "@example.com", "unprotected": true,
		}
	}
	return all
}

// manifests are the objects that the tenants add to the stack, as the stack itself declares them, in the order in which
// they can be applied: namespaces first.
func manifests(repo string, count int) ([]string, error) {
	base, err := documents(repo, 0)
	if err != nil {
		return nil, err
	}
	all, err := documents(repo, count)
	if err != nil {
		return nil, err
	}
	return added(base, all), nil
}

// documents are all Kubernetes objects of the stack, by their headings.
func documents(repo string, count int) (map[string]string, error) {
	list, err := json.Marshal(tenants(count))
	if err != nil {
		return nil, err
	}
	g, err := graph.Run(stacks.Deploy, graph.Root(repo, stackName), graph.Config(map[string]string{"journal:tenants": string(list)}))
	if err != nil {
		return nil, err
	}
	text, err := g.Manifests()
	if err != nil {
		return nil, err
	}
	return split(text), nil
}

// split takes rendered manifests apart. The key is the comment that names an object; components have no document.
func split(text string) map[string]string {
	found := map[string]string{}
	for document := range strings.SplitSeq(text, "---\n") {
		heading := ""
		var body []string
		for line := range strings.SplitSeq(strings.TrimSuffix(document, "\n"), "\n") {
			if strings.HasPrefix(line, "# ") && len(body) == 0 {
				heading = line
				continue
			}
			body = append(body, line)
		}
		if len(body) > 0 && heading != "" && strings.Join(body, "") != "" {
			found[heading] = strings.Join(body, "\n") + "\n"
		}
	}
	return found
}

// added are the documents that only the second set has, namespaces first and otherwise in the order of their headings.
func added(base, all map[string]string) []string {
	var headings []string
	for heading := range all {
		if _, there := base[heading]; !there {
			headings = append(headings, heading)
		}
	}
	slices.SortFunc(headings, func(a, b string) int {
		return strings.Compare(order(a)+a, order(b)+b)
	})
	documents := make([]string, len(headings))
	for i, heading := range headings {
		documents[i] = all[heading]
	}
	return documents
}

func order(heading string) string {
	if strings.HasPrefix(heading, "# kubernetes:core/v1:Namespace ") {
		return "0"
	}
	return "1"
}
