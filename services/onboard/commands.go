package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// offers are what the namespaces of the stack offer, besides the roles of their users.
type offers struct {
	// Image is an image that tenants may run, or empty if none is known.
	Image string `json:"image"`
	// Claims says that there are temporary namespaces.
	Claims bool `json:"claims"`
	// Deployers are the namespaces with a deployer, whose tokens owners issue.
	Deployers []string `json:"deployers"`
}

// meanings say what each role may do.
var meanings = map[string]string{
	"viewer":    "read everything but Secrets, logs included",
	"developer": "read everything but Secrets; write workloads, Services, Ingresses and ConfigMaps; run commands in pods",
	"owner":     "what a developer may; see who has access",
}

// explain prints what the user may do in each namespace, and the first three commands there.
func (o *onboarding) explain(declared person, offered offers) {
	for _, namespace := range slices.Sorted(maps.Keys(declared.Namespaces)) {
		role := declared.Namespaces[namespace]
		fmt.Fprintf(o.stdout, "\n%s in %s: %s\n", role, namespace, meanings[role])
		for _, command := range o.commands(namespace, role, offered) {
			fmt.Fprintf(o.stdout, "  %s\n", command)
		}
	}
}

// commands returns the first three commands of a role in a namespace. They work as they are printed.
func (o *onboarding) commands(namespace, role string, offered offers) []string {
	kubectl := fmt.Sprintf("kubectl --kubeconfig %s --namespace %s ", quoted(o.out), namespace)
	logs, events := kubectl+"logs --selector app --prefix --tail 20", kubectl+"get events"
	all := []string{kubectl + "get pods"}
	if role == "viewer" {
		return append(all, logs, events)
	}
	if offered.Image != "" {
		all = append(all, kubectl+"create deployment hello --image "+quoted(offered.Image))
	}
	if role == "owner" && slices.Contains(offered.Deployers, namespace) {
		all = append(all, kubectl+"create token deployer --duration 30m # for a job of the CI")
	}
	if offered.Claims {
		claim, _ := json.Marshal(map[string]any{ // of texts: it does not fail
			"apiVersion": "journal.example.com/v1alpha1", "kind": "NamespaceClaim", "metadata": map[string]string{"name": "try"},
			"spec": map[string]string{"owner": o.user, "class": "small", "purpose": "a first try"},
		})
		all = append(all, "echo "+quoted(string(claim))+" | "+kubectl+"create --filename -")
	}
	return append(all, logs, events)[:3]
}

// plain matches a word that no shell changes.
var plain = regexp.MustCompile(`^[A-Za-z0-9@%_+=:,./-]+$`)

// quoted returns a text as one word of a shell.
func quoted(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
