package main

import (
	"fmt"
	"maps"
	"slices"

	"example.com/journal/services/internal/observe"
)

const namespaceLabel = "namespace"

// showResult shows what a query of the caller's gave: a column for each label, and the value.
func (v *viewer) showResult(_ []observe.Source, result []series) error {
	if v.output == "json" {
		for _, s := range result {
			if err := v.writeJSON(s); err != nil {
				return err
			}
		}
		return nil
	}
	if len(result) == 0 {
		fmt.Fprintln(v.stderr, "the query gives no series now; `--web` shows the past")
		return nil
	}
	labels := map[string]bool{}
	for _, s := range result {
		for label := range s.Metric {
			labels[label] = true
		}
	}
	delete(labels, namespaceLabel)
	columns := append([]string{namespaceLabel}, slices.Sorted(maps.Keys(labels))...)
	rows := [][]string{append(slices.Clone(columns), "value")}
	for _, s := range result {
		var row []string
		for _, label := range columns {
			row = append(row, orAbsent(s.Metric[label]))
		}
		rows = append(rows, append(row, s.Value.text))
	}
	return v.writeTable(rows)
}

// orAbsent returns a text, or what stands for one that is not there.
func orAbsent(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
