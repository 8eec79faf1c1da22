// Command ci-login gives a job of a GitHub workflow a kubeconfig without a credential. `ci-login login` writes it. Its user is the
// exec plugin `ci-login token`, which asks GitHub for the job's own token whenever a client needs one: it lives for minutes, and says
// the repository, the environment and the ref. The API server takes it by an AuthenticationConfiguration, which docs/ci.md has.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ci-login:", err)
		os.Exit(1)
	}
}

// run does what the only argument says.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	issuer := issuer{url: getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), secret: getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
		audience: getenv("KUBE_AUDIENCE"), client: &http.Client{Timeout: 20 * time.Second}, now: time.Now}
	switch strings.Join(args, " ") {
	case "login":
		return login(ctx, issuer, getenv, stdout)
	case "token":
		return printCredential(ctx, issuer, stdout)
	}
	return fmt.Errorf("arguments %q: must be login or token; write `make ci-login`", args)
}
