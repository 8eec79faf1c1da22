package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/journal/sandbox/doctor"
)

// Check says why a node cannot start on this machine, before anything is built or started. A running node is fine.
func Check(ctx context.Context, config Config) error {
	config = config.withDefaults()
	if _, err := Running(config.Dir); err == nil {
		return nil
	}
	environment := append(os.Environ(), "XDG_CACHE_HOME="+filepath.Dir(config.Dir.Root()))
	for _, p := range config.ports() {
		environment = append(environment, fmt.Sprintf("%s=%d", p.variable, *p.number))
	}
	return doctor.Check(ctx, "node", environment)
}
