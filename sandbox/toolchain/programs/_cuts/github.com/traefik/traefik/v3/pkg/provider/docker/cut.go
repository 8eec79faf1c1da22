// Package docker stands for the providers of Docker and of Docker Swarm.
package docker

import (
	"errors"

	ptypes "github.com/traefik/paerser/types"
	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider refuses to start.
type Provider struct{ HTTPClientTimeout ptypes.Duration }

// SetDefaults has nothing to set.
func (*Provider) SetDefaults() {}

// Init says that there is no such provider.
func (*Provider) Init() error {
	return errors.New("this Traefik is built without the provider docker")
}

// Provide says the same.
func (p *Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return p.Init() }

// SwarmProvider refuses to start.
type SwarmProvider struct {
	Provider
	RefreshSeconds ptypes.Duration
}
