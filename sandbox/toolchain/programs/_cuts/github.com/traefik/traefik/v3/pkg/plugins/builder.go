package plugins

import (
	"context"
	"errors"
	"net/http"

	"github.com/traefik/traefik/v3/pkg/provider"
)

// Plugins need a Go interpreter and a WebAssembly machine.
var errWithout = errors.New("this Traefik is built without plugins")

// Constructor makes a middleware.
type Constructor func(context.Context, http.Handler) (http.Handler, error)

// Builder builds no plugin.
type Builder struct{}

// NewBuilder returns a builder for a configuration without plugins: others have been refused.
func NewBuilder(*Manager, map[string]Descriptor, map[string]LocalDescriptor) (*Builder, error) {
	return &Builder{}, nil
}

// Build refuses.
func (*Builder) Build(string, map[string]any, string) (Constructor, error) { return nil, errWithout }

// BuildProvider refuses.
func (*Builder) BuildProvider(string, map[string]any) (provider.Provider, error) {
	return nil, errWithout
}
