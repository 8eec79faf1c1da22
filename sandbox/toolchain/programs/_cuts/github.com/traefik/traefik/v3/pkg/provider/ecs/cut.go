// Package ecs stands for the provider of Amazon ECS.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider refuses to start.
type Provider struct{}

// SetDefaults has nothing to set.
func (*Provider) SetDefaults() {}

// Init says that there is no such provider.
func (*Provider) Init() error { return errors.New("this Traefik is built without the provider ecs") }

// Provide says the same.
func (p *Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return p.Init() }
