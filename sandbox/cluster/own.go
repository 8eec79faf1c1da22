package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node"
	"example.com/journal/sandbox/toolchain"
	"example.com/journal/stacks"
)

// own is the sandbox's node.
type own struct {
	*node.Node // nil until it is started or connected to

	dir    cache.Dir
	getenv func(string) string
}

func (c *own) String() string { return "the sandbox" }

func (c *own) Check(ctx context.Context, _ *stacks.Config) error {
	config, err := node.ConfigFromEnv(c.dir, c.getenv, nil)
	if err != nil {
		return err
	}
	return node.Check(ctx, config)
}

func (c *own) Programs() []string { return toolchain.Node }

func (c *own) ServicePrograms(decided stacks.Config) (names []string) {
	for _, kind := range Needs(decided, images.Foreign) {
		if slices.Contains(toolchain.Services, kind.Name) {
			names = append(names, kind.Name)
		}
	}
	return names
}

func (c *own) Start(ctx context.Context, progress io.Writer) error {
	config, err := node.ConfigFromEnv(c.dir, c.getenv, progress)
	if err != nil {
		return err
	}
	c.Node, err = node.Start(ctx, config)
	return err
}

func (c *own) Connect(context.Context) (err error) {
	if c.Node, err = node.Running(c.dir); err != nil {
		return fmt.Errorf("%w; start it with `sandbox up`", err)
	}
	return nil
}

func (c *own) Stop(ctx context.Context) error { return node.Stop(ctx, c.dir) }

func (c *own) Reset(ctx context.Context) error {
	return errors.Join(node.Reset(ctx, c.dir), os.RemoveAll(c.State()))
}

func (c *own) Images(decided stacks.Config) []images.Kind {
	return append(Needs(decided, images.Journal), images.Pause)
}

// Load imports the images that the node does not have.
func (c *own) Load(ctx context.Context, built []images.Image, log io.Writer) error {
	for _, image := range built {
		// The record says which archive the node has under a reference. A third-party image keeps its reference when its recipe
		// changes. The record is deleted with the node's data.
		record := filepath.Join(filepath.Dir(c.Kubeconfig()), "images", filepath.Base(image.Reference))
		if imported, err := os.ReadFile(record); err == nil && string(imported) == image.Archive {
			continue
		}
		if err := c.ImportImage(ctx, image.Archive); err != nil {
			return err
		}
		if err := disk.Write(record, []byte(image.Archive), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(log, "imported %s\n", image.Reference)
	}
	return nil
}

// LoadServices builds the images that the node would otherwise pull, and imports them.
func (c *own) LoadServices(ctx context.Context, repo string, decided stacks.Config, log io.Writer) error {
	return loadServices(ctx, c, c.dir, repo, log, Needs(decided, slices.Concat(images.Services, images.Foreign)))
}

// Values are the built images, an address on this machine without a certificate made elsewhere, the address of the node's DNS,
// and requests that leave room on the machine. The pods of a quorum share the one node.
func (c *own) Values(decided stacks.Config, built []images.Image, log io.Writer) (map[string]any, error) {
	values, err := references(decided, built, "")
	if err != nil {
		return nil, err
	}
	delete(values, images.Pause.Key)
	maps.Copy(values, map[string]any{
		"exposure.host":               "journal.localhost",
		"exposure.class":              node.IngressClass,
		"exposure.port":               c.port(decided.Journal.Exposure.TLS.SelfSigned != 0),
		"exposure.tls.secret":         nil,
		"exposure.tls.issuer":         nil,
		"redis.storage.class":         nil,
		"logs.store.storage.class":    nil,
		"metrics.store.storage.class": nil,
		"cluster.dns":                 []string{node.DNS},
	})
	for _, kind := range Needs(decided, images.Foreign) {
		values[kind.Key] = images.Origin + "/" + kind.Name + ":" + kind.Version
	}
	cpus, memory, err := machine()
	if err != nil {
		return nil, err
	}
	requests, note := smallerRequests(decided, cpus, memory)
	maps.Copy(values, requests)
	if decided.Journal.Redis.Quorum {
		values["redis.sharedNodes"] = true
		note += "there is one node, so the pods of a quorum share it here: what this node loses, all of them lose\n"
	}
	_, err = io.WriteString(log, note)
	return values, err
}

func (c *own) State() string { return filepath.Join(c.dir.State(), "pulumi") }

// port is the machine's port that leads to the Ingress.
func (c *own) port(tls bool) int {
	if tls {
		return c.HTTPSPort
	}
	return c.HTTPPort
}

func (c *own) Address(_ context.Context, page *url.URL, _ string) (string, error) {
	return fmt.Sprintf("127.0.0.1:%d", c.port(page.Scheme == "https")), nil
}

func (c *own) Status(context.Context) (string, error) {
	n := c.Node
	word, processes := map[bool]string{false: "starting", true: "running"}[n.Ready], ""
	for _, component := range n.Components() {
		processes += fmt.Sprintf(" %s(%d)", component.Name, component.PID)
	}
	return fmt.Sprintf("cluster     %s for %s, process %d\ningress     127.0.0.1:%d\napiserver   127.0.0.1:%d\nkubeconfig  %s\nlogs        %s\nprocesses  %s",
		word, time.Since(n.Since).Round(time.Second), n.PID, n.HTTPPort, n.APIPort, n.Kubeconfig(), c.dir.Logs(), processes), nil
}
