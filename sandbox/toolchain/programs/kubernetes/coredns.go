package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coredns/caddy"

	// The plugins that a cluster's DNS needs; CoreDNS's own main would compile some fifty more.
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// runCoreDNS serves the Corefile named by -conf until it is told to stop.
func runCoreDNS(args []string) error {
	flags := flag.NewFlagSet("coredns", flag.ContinueOnError)
	conf := flags.String("conf", "Corefile", "the Corefile to serve")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*conf)
	if err != nil {
		return err
	}
	caddy.Quiet = true
	instance, err := caddy.Start(caddy.CaddyfileInput{Filepath: *conf, Contents: text, ServerTypeName: "dns"})
	if err != nil {
		return fmt.Errorf("%s: %w", *conf, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	return instance.Stop()
}
