package journal

import (
	"cmp"

	"example.com/journal/components/kube"
)

// History is what updates have deployed, the last one first in each list. A journal takes that of its last update and
// returns its own: so earlier versions stay in the cluster and can be gone back to.
type History struct {
	// Redis, API and Frontend are the contents of the parts' configurations.
	Redis    []map[string]string `json:"redis,omitempty"`
	API      []map[string]string `json:"api,omitempty"`
	Frontend []map[string]string `json:"frontend,omitempty"`
	// Passwords are the numbers of the passwords of Redis.
	Passwords []int `json:"passwords,omitempty"`
}

// passwords returns the numbers of the passwords that are kept, the current one first. The first two are accepted by Redis:
// pods that still have the one before go on while they are replaced. It is gone with the next rotation.
func passwords(current int, history []int, keep int) []int {
	return kube.Retain(cmp.Or(current, 1), history, keep, func(a, b int) bool { return a == b })
}
