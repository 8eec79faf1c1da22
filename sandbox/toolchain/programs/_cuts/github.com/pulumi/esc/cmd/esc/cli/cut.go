// Package cli stands for the command that manages environments of Pulumi's service.
package cli

import (
	"errors"

	"github.com/pulumi/esc"
	"github.com/pulumi/esc/cmd/esc/cli/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/spf13/cobra"
)

var errWithout = errors.New("this Pulumi is built without environments of Pulumi's service")

// Options are those of the command.
type Options struct {
	ParentPath      string
	Colors          colors.Colorization
	Login           any
	PulumiWorkspace workspace.PulumiWorkspace
	UserAgent       string
}

// New returns a command with one child, which refuses.
func New(*Options) *cobra.Command {
	root := &cobra.Command{Use: "esc"}
	root.AddCommand(&cobra.Command{
		Use:   "env",
		Short: "Not in this Pulumi: manage environments of Pulumi's service",
		RunE:  func(*cobra.Command, []string) error { return errWithout },
	})
	return root
}

// PrepareOptions are those of PrepareEnvironment.
type PrepareOptions struct{ Quote, Pretend, Redact bool }

// PrepareEnvironment refuses.
func PrepareEnvironment(*esc.Environment, *PrepareOptions) (files, environ, secrets []string, err error) {
	return nil, nil, nil, errWithout
}
