package journal

import (
	"fmt"
	"slices"
	"strings"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// historyOutput is the name of the stack output with the history of a component. Each component reads its own, so that its
// caller need not pass it.
func historyOutput(component string) string { return component + "-history" }

// history is what the last update of a journal deployed.
type history struct {
	Redis    redisHistory `json:"redis"`
	API      configs      `json:"api"`
	Frontend configs      `json:"frontend"`
}

// configs are the kept contents of a part's configuration, the latest one first.
type configs []map[string]string

// redisHistory is what the last update of Redis deployed. It is empty before the first update.
type redisHistory struct {
	Configs   configs `json:"configs"`
	Passwords []int   `json:"passwords"`
	// PasswordSecret is where they are, or empty if they were generated.
	PasswordSecret string        `json:"passwordSecret,omitempty"`
	Storage        *kube.Storage `json:"storage"`
}

// checkAfter returns the rules that arguments with defaults break as an update after the last one.
func (args RedisArgs) checkAfter(last redisHistory) rules.Faults {
	var f rules.Faults
	if had := last.Storage; had != nil {
		f = args.Storage.CheckAfter(*had, "bring up another stack with this class, post the entries to its API, and destroy this one").In("storage")
	}
	if from := last.PasswordSecret; from != "" && args.PasswordSecret == "" {
		f.Refuse("passwordSecret", "", "the passwords of the last update are in Secrets that exist, and generated ones would be others; write %s", from)
	}
	if len(last.Passwords) == 0 {
		return f
	}
	const list = "passwords"
	if current := last.Passwords[0]; !slices.Contains(args.Passwords, current) {
		f.Refuse(list, numbers(args.Passwords), "the clients of the last update sign in with password %d; write %s, and leave %d out in a later update",
			current, numbers([]int{args.Passwords[0], current}), current)
	} else if signIn := args.Passwords[min(1, len(args.Passwords)-1)]; !slices.Contains(last.Passwords, signIn) {
		// See masterauth in start.sh.
		f.Refuse(list, numbers(args.Passwords), "replicas sign in with the second number, and the pods of the last update accept %s; make %d the second",
			numbers(last.Passwords), current)
	}
	return f
}

// numbers formats a list of numbers as a configuration has it.
func numbers(list []int) string { return strings.ReplaceAll(fmt.Sprint(list), " ", ", ") }
