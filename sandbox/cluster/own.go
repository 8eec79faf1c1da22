package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/sandbox/toolchain"
	"example.com/journal/stacks"
)

// own is the sandbox's node.
type own struct {
	dir    cache.Dir
	getenv func(string) string
	node   *node.Node
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

func (c *own) Start(ctx context.Context, progress io.Writer) error {
	config, err := node.ConfigFromEnv(c.dir, c.getenv, progress)
	if err != nil {
		return err
	}
	c.node, err = node.Start(ctx, config)
	return err
}

func (c *own) Connect(context.Context) (err error) {
	if c.node, err = node.Running(c.dir); err != nil {
		return fmt.Errorf("%w; start it with `sandbox up`", err)
	}
	return nil
}

func (c *own) Stop(ctx context.Context) error { return node.Stop(ctx, c.dir) }

func (c *own) Reset(ctx context.Context) error {
	return errors.Join(node.Reset(ctx, c.dir), os.RemoveAll(c.State()))
}

func (c *own) TakesImages() bool { return true }

// Load imports the images that the node does not have.
func (c *own) Load(ctx context.Context, built []images.Image, log io.Writer) error {
	has, err := c.node.Images(ctx)
	if err != nil {
		return err
	}
	// A foreign image keeps its reference when the way it is made changes, so the archive's name is remembered as well.
	record := filepath.Join(c.dir.State(), "images.json")
	imported, missing := map[string]string{}, map[string]string{}
	if text, err := os.ReadFile(record); err == nil {
		_ = json.Unmarshal(text, &imported) // a record that cannot be read costs another import
	}
	group, each := errgroup.WithContext(ctx)
	for _, image := range built {
		archive := filepath.Base(image.Archive)
		if slices.Contains(has, image.Reference) && imported[image.Reference] == archive {
			continue
		}
		missing[image.Reference] = archive
		group.Go(func() error {
			if err := c.node.ImportImage(each, image.Archive); err != nil {
				return err
			}
			_, err := fmt.Fprintf(log, "imported %s\n", image.Reference)
			return err
		})
	}
	if err := group.Wait(); err != nil || len(missing) == 0 {
		return err
	}
	maps.Copy(imported, missing)
	text, err := json.Marshal(imported)
	if err != nil {
		return err
	}
	return os.WriteFile(record, text, 0o600)
}

// Values are the images that were built, and an address on this machine without a certificate that is made elsewhere.
func (c *own) Values(decided stacks.Config, built []images.Image) (map[string]any, error) {
	values, err := references(decided, built, func(image images.Image) (string, error) { return image.Reference, nil })
	if err != nil {
		return nil, err
	}
	port := c.node.HTTPPort()
	if decided.Journal.Exposure.TLSSelfSigned != 0 {
		port = c.node.HTTPSPort()
	}
	maps.Copy(values, map[string]any{
		"exposureHost":      "journal.localhost",
		"exposureClass":     node.IngressClass,
		"exposurePort":      port,
		"exposureTlsSecret": "",
		"exposureTlsIssuer": "",
		"redisStorageClass": "",
	})
	return values, nil
}

func (c *own) Kubeconfig() string { return c.node.Kubeconfig() }

func (c *own) State() string { return filepath.Join(c.dir.State(), "pulumi") }

func (c *own) Address(_ context.Context, page *url.URL, _ string) (string, error) {
	port := c.node.HTTPPort()
	if page.Scheme == "https" {
		port = c.node.HTTPSPort()
	}
	return fmt.Sprintf("127.0.0.1:%d", port), nil
}

func (c *own) Status(context.Context) (string, error) {
	state := c.node.Status()
	word := "running"
	if !state.Ready {
		word = "starting"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "cluster     %s for %s, process %d\ningress     127.0.0.1:%d\napiserver   127.0.0.1:%d\nkubeconfig  %s\nlogs        %s\nprocesses  ",
		word, time.Since(state.Since).Round(time.Second), state.PID, state.HTTPPort, state.APIPort, c.node.Kubeconfig(), c.dir.Logs())
	for _, component := range state.Components {
		fmt.Fprintf(&text, " %s(%d)", component.Name, component.PID)
	}
	return text.String(), nil
}

func (c *own) Kubectl(ctx context.Context, args ...string) (*exec.Cmd, error) {
	return c.node.Kubectl(ctx, args...), nil
}
