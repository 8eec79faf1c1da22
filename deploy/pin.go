package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// exampleLine is a line that pin takes, and where one comes from.
const exampleLine = "api.image: registry.example.com/api:1.2.3@sha256:…, as `make images REGISTRY=…` prints them"

// pin writes images with their digests into a stack's file, and changes nothing else in it. Each line of the input has the key of an
// image and its reference, as `make images` prints them: `api.image: registry.example.com/api:1.2.3@sha256:…`. A push is of all
// images, so a key that the file does not have is named and left out.
func pin(project, stack string, input io.Reader, stdout io.Writer) error {
	file, err := readStackFile(project, stack)
	if err != nil {
		return err
	}
	references, err := readReferences(input, file.project)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(file.text), "\n")
	var said []string
	// The last value of a line comes first, so that the columns of the others still hold.
	keys := slices.SortedFunc(maps.Keys(references), func(a, b string) int {
		return cmp.Or(cmp.Compare(column(file.images[b]), column(file.images[a])), cmp.Compare(a, b))
	})
	found := false
	for _, key := range keys {
		node, reference := file.images[key], references[key]
		if node == nil {
			said = append(said, fmt.Sprintf("%s: %s has no such image, left out", key, file.name))
			continue
		}
		found = true
		if node.Value == reference {
			said = append(said, fmt.Sprintf("%s: is %s already", key, reference))
			continue
		}
		if err := replace(lines, node, reference); err != nil {
			return fmt.Errorf("%s:%d: %s: %w", file.name, node.Line, key, err)
		}
		said = append(said, fmt.Sprintf("%s: %s -> %s", key, node.Value, reference))
	}
	slices.Sort(said)
	text := strings.Join(said, "\n")
	if !found {
		return fmt.Errorf("nothing is written:\n%s\nwrite the key as in %s, such as api.image", text, file.name)
	}
	info, err := os.Stat(file.path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file.path, []byte(strings.Join(lines, "")), info.Mode().Perm()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}

// readReferences reads lines of keys and references. A key need not begin with the name of the project.
func readReferences(input io.Reader, project string) (map[string]string, error) {
	references := map[string]string{}
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		key, reference, found := strings.Cut(line, ": ")
		if !found || !pinned.MatchString(reference) || strings.ContainsAny(reference, " \"'#{}") {
			return nil, fmt.Errorf("%q: must be the key of an image and a reference with a digest, such as %s", line, exampleLine)
		}
		if !strings.Contains(key, ":") {
			key = project + ":" + key
		}
		if other, there := references[key]; there && other != reference {
			return nil, fmt.Errorf("%s: is there twice, as %s and as %s", key, other, reference)
		}
		references[key] = reference
	}
	if len(references) == 0 && lines.Err() == nil {
		return nil, errors.New("no image is given; write lines such as " + exampleLine)
	}
	return references, lines.Err()
}

// column is where a value begins in its line.
func column(node *yaml.Node) int {
	if node == nil {
		return 0
	}
	return node.Column
}

// replace puts another text in the place of a value, with the quotes that it has.
func replace(lines []string, node *yaml.Node, text string) error {
	quote := map[yaml.Style]string{yaml.DoubleQuotedStyle: `"`, yaml.SingleQuotedStyle: "'"}[node.Style]
	line := []rune(lines[node.Line-1])
	rest, found := strings.CutPrefix(string(line[node.Column-1:]), quote+node.Value+quote)
	if !found {
		return errors.New("the image is not written in one piece; write it there, without an anchor, and try again")
	}
	lines[node.Line-1] = string(line[:node.Column-1]) + quote + text + quote + rest
	return nil
}
