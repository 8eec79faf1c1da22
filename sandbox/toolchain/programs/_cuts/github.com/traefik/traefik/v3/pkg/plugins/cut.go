// Package plugins stands for Traefik's plugins, which need a Go interpreter and a WebAssembly machine.
package plugins

import (
	"context"
	"errors"
	"net/http"

	"github.com/traefik/traefik/v3/pkg/provider"
)

var errWithout = errors.New("this Traefik is built without plugins")

// Descriptor is the configuration of a plugin.
type Descriptor struct {
	ModuleName string `json:"moduleName,omitempty" toml:"moduleName,omitempty" yaml:"moduleName,omitempty"`
	Version    string `json:"version,omitempty" toml:"version,omitempty" yaml:"version,omitempty"`
}

// LocalDescriptor is the configuration of a local plugin.
type LocalDescriptor struct {
	ModuleName string `json:"moduleName,omitempty" toml:"moduleName,omitempty" yaml:"moduleName,omitempty"`
}

// Constructor makes a middleware.
type Constructor func(context.Context, http.Handler) (http.Handler, error)

// Manager manages no plugin.
type Manager struct{}

// ManagerOptions are the options of a Manager.
type ManagerOptions struct{ Output string }

// RegistryDownloader downloads no plugin.
type RegistryDownloader struct{}

// RegistryDownloaderOptions are the options of a RegistryDownloader.
type RegistryDownloaderOptions struct {
	HTTPClient   *http.Client
	ArchivesPath string
}

// Builder builds no plugin.
type Builder struct{}

// NewRegistryDownloader refuses.
func NewRegistryDownloader(RegistryDownloaderOptions) (*RegistryDownloader, error) {
	return nil, errWithout
}

// NewManager refuses.
func NewManager(*RegistryDownloader, ManagerOptions) (*Manager, error) { return nil, errWithout }

// SetupRemotePlugins refuses.
func SetupRemotePlugins(*Manager, map[string]Descriptor) error { return errWithout }

// SetupLocalPlugins refuses.
func SetupLocalPlugins(map[string]LocalDescriptor) error { return errWithout }

// NewBuilder returns a builder that refuses every plugin.
func NewBuilder(*Manager, map[string]Descriptor, map[string]LocalDescriptor) (*Builder, error) {
	return &Builder{}, nil
}

// Build refuses.
func (*Builder) Build(string, map[string]any, string) (Constructor, error) { return nil, errWithout }

// BuildProvider refuses.
func (*Builder) BuildProvider(string, map[string]any) (provider.Provider, error) {
	return nil, errWithout
}
