// Command journal-api is the REST API of the journal. It keeps its entries in
// Redis: writes go to the primary, reads to any server of the set. An entry that
// was acknowledged outlasts a crash of the primary if Redis has "appendonly yes"
// and "appendfsync always": with "everysec" it puts off writes for up to two seconds.
// A replica confirms a write when it has it in the same way, so an acknowledged entry
// is on one volume more than JOURNAL_REDIS_MIN_REPLICAS says, at least.
//
// It is configured by its environment alone:
//
//	JOURNAL_REDIS_WRITE_ADDRESS  host:port of the primary; required
//	JOURNAL_REDIS_READ_ADDRESS   host:port to read from; default: the write address
//	JOURNAL_REDIS_USER           user of Redis; default "default"
//	JOURNAL_REDIS_PASSWORD_FILE  file with the password, read for every new connection; required
//	JOURNAL_REDIS_MIN_REPLICAS   how many replicas must have a write before it is acknowledged; default 0
//	JOURNAL_REDIS_PATIENCE       how long a request waits out a Redis that is away; default 20s
//	JOURNAL_MAX_IN_FLIGHT        how many requests of entries may be under way, more are answered with 503; default 100
//	JOURNAL_LISTEN_ADDRESS       default :8080
//	JOURNAL_LOG_LEVEL            debug, info, warn or error; default info
//	JOURNAL_READ_ONLY            true refuses every change of an entry; default false
//	JOURNAL_SHUTDOWN_DELAY       how long it serves on after SIGTERM, not ready any more; default 5s
//
// routes.go lists what it answers to.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	logging.Disable()            // Every error of go-redis comes back to us, and is logged by us.

	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "journal-api:", err)
		os.Exit(1)
	}
}

// run serves the API until ctx ends, and then drains: it reports that it is not ready, continues to serve while that spreads,
// and finishes open requests.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("argument %q: none is understood; configure by the JOURNAL_… environment variables", args[0])
	}
	config, err := loadConfig(getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stdout, &slog.HandlerOptions{Level: config.logLevel}))
	metrics := newMetrics()
	store := newRedisStore(config, log, metrics.redisErrors)
	defer func() { _ = store.Close() }()

	listener, err := net.Listen("tcp", config.listenAddress)
	if err != nil {
		return fmt.Errorf("JOURNAL_LISTEN_ADDRESS %q: %w", config.listenAddress, err)
	}
	var stopping atomic.Bool
	api := &api{
		store: store, log: log, metrics: metrics, stopping: &stopping, readOnly: config.readOnly,
		inFlight: make(chan struct{}, config.maxInFlight),
	}
	server := &http.Server{
		Handler:           api.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      15*time.Second + config.patience,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Info("listening", "address", listener.Addr().String())

	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}

	log.Info("shutting down", "delay", config.shutdownDelay.String())
	stopping.Store(true)
	time.Sleep(config.shutdownDelay)
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), config.patience+5*time.Second)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return errors.Join(fmt.Errorf("draining: %w", err), server.Close())
	}
	log.Info("stopped")
	return nil
}
