package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// result is what one command of one tool took for one size.
type result struct {
	tool, phase string
	tenants     int
	seconds     float64
	// memory is the sum of the processes' peaks, in MiB.
	memory int
	// requests are the API requests by kind.
	requests map[string]int
}

func (r result) total() int {
	sum := 0
	for _, count := range r.requests {
		sum += count
	}
	return sum
}

// requestKinds are the columns of the requests, in their order.
var requestKinds = []string{"GET", "POST", "PATCH", "PUT", "DELETE", "WATCH", "DISCOVERY"}

// table writes the results in the order in which they were measured, as Markdown.
func table(w io.Writer, results []result) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(out, "| tenants\t| tool\t| phase\t| seconds\t| of kubectl's\t| ms per tenant\t| of the smallest's\t| MiB\t| requests\t| %s\t|\n",
		strings.Join(requestKinds, "\t| "))
	fmt.Fprintln(out, strings.Repeat("|---\t", 9+len(requestKinds))+"|")
	for _, r := range results {
		fmt.Fprintf(out, "| %d\t| %s\t| %s\t| %.1f\t| %s\t| %.0f\t| %s\t| %d\t| %d\t", r.tenants, r.tool, r.phase, r.seconds,
			ratio(r.seconds, kubectls(results, r)), 1000*perTenant(r), ratio(perTenant(r), smallest(results, r)), r.memory, r.total())
		for _, kind := range requestKinds {
			fmt.Fprintf(out, "| %d\t", r.requests[kind])
		}
		fmt.Fprintln(out, "|")
	}
	return out.Flush()
}

func perTenant(r result) float64 { return r.seconds / float64(r.tenants) }

// ratio is how many times as large a is, or a hyphen where there is nothing to compare with.
func ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", a/b)
}

// kubectls are the seconds that kubectl took for the same, or 0.
func kubectls(results []result, of result) float64 {
	for _, r := range results {
		if r.tool == "kubectl" && r.phase == of.phase && r.tenants == of.tenants {
			return r.seconds
		}
	}
	return 0
}

// smallest are the seconds per tenant at the smallest size, or 0.
func smallest(results []result, of result) float64 {
	var found result
	for _, r := range results {
		if r.tool == of.tool && r.phase == of.phase && (found.tenants == 0 || r.tenants < found.tenants) {
			found = r
		}
	}
	if found.tenants == 0 {
		return 0
	}
	return perTenant(found)
}
