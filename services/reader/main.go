// Command reader lets people read logs and metrics with the rights that they have in the cluster. It is an aggregated API server: the
// API server authenticates a person, asks RBAC, and forwards the request. The reader adds to every query which namespace of which
// tenant it may see, and asks the store.
//
// Below /apis/observe.journal.example.com/v1alpha1 it answers to:
//
//	GET      /                                    the resources, for discovery
//	GET      /namespaces/NS/logs                  lines of a namespace; watch=true follows
//	GET      /logs                                lines of all namespaces
//	GET|POST /namespaces/NS/logs/ui/proxy/select/… the page of the log store, and what the page reads
//	GET      /namespaces/NS/metrics               figures of a namespace
//	GET      /metrics                             figures of all namespaces
//	GET|POST /namespaces/NS/metrics/ui/proxy/…    the page of the metric store, at vmui/, and what the page reads
//
// The parameters of logs:
//
//	query    LogsQL; default *
//	start    the first moment, in RFC 3339; with watch=true at most one minute ago
//	end      the first moment after, in RFC 3339
//	limit    the number of lines at most, of which the newest are given; default 1000, at most 10000
//	watch    true follows: the answer goes on with every new line, for half an hour at most
//	claimed  on the home namespace of a tenant: the name of a namespace of the tenant that is gone, and whose lines are given
//	timeout  how long the API server waits for the answer
//
// Lines are JSON objects, one a line, as the store gives them. Errors are Status objects of Kubernetes.
//
// The parameters of metrics:
//
//	query    MetricsQL, which has PromQL in it; it must be given. It has 32 names, numbers and texts at most, and no function that
//	         makes many series or long labels, such as count_values and label_join
//	time     the moment, in RFC 3339 or in seconds since 1970; default now
//	start    the first moment, in place of time: the answer has a point for every step
//	end      the last moment; default now
//	step     the time between two points, a duration or a number of seconds, so that there are at most 2000 points; default a
//	         hundredth of the time, and at least a second
//	timeout  how long the API server waits for the answer
//
// The answer is that of Prometheus to /api/v1/query, or to /api/v1/query_range, of at most 32 MiB: a longer one is cut off.
//
// The metric store knows namespaces by their name alone. If a name is used again, all of its series are deleted, once the new namespace
// is two minutes old. Until then, its figures are not served. Those of a name that was nobody's are served from the beginning.
//
// Its flags:
//
//	--logs-url              the log store, such as http://log-store.journal-logs.svc:9428; default none, and logs are not served
//	--metrics-url           the metric store, such as http://metrics-store.journal-metrics.svc:8428; default none, and metrics are
//	                        not served. One of the two must be given
//	--listen                where the API server connects to; default :10250
//	--tls-cert-file         the serving certificate, which is read again when it changes; default /etc/reader/tls.crt
//	--tls-private-key-file  its key; default /etc/reader/tls.key
//	--metrics-listen        where /metrics, /livez and /readyz are served, without TLS; default :8080
//	--log-level             debug, info, warn or error; default info
//
// It reads namespaces, and the ConfigMap extension-apiserver-authentication in kube-system. The API server is that of the pod,
// or of the kubeconfig in KUBECONFIG.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	// queryTimeout is how long the store may work on a query.
	queryTimeout = 30 * time.Second
	// answerTimeout is how long an answer may take. The API server itself gives up after a minute.
	answerTimeout = time.Minute
	// readTimeout is how long a request may take to arrive.
	readTimeout = 15 * time.Second
	// followTimeout is how long a follow may last, so that whoever loses the right to read is asked for it again.
	followTimeout = 30 * time.Minute
	// drainTimeout is how long queries may take to end when the program does. Follows are ended at once.
	drainTimeout = 20 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and then lets the queries end that are under way.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stdout, &slog.HandlerOptions{Level: o.logLevel}))
	klog.SetSlogLogger(log)
	config, err := clientcmd.BuildConfigFromFlags("", getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("find the apiserver: %w; run in a pod, or name a kubeconfig in KUBECONFIG", err)
	}
	config.UserAgent = "reader"
	config.QPS, config.Burst = 100, 200 // one request to the API server for each query
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client of the apiserver: %w", err)
	}
	names, err := metadata.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client of the apiserver: %w", err)
	}
	return serve(ctx, o, log, clients, names)
}

// options are the flags, parsed and checked.
type options struct {
	// logsURL and metricsURL are nil for a store that there is none of.
	logsURL, metricsURL                      *url.URL
	listen, certFile, keyFile, metricsListen string
	logLevel                                 slog.Level
	// The times differ in tests alone.
	queryTimeout, followTimeout, settle time.Duration
}

// parseFlags reports everything that is wrong with the flags at once.
func parseFlags(args []string) (options, error) {
	o := options{queryTimeout: queryTimeout, followTimeout: followTimeout, settle: settleTime}
	flags := flag.NewFlagSet("reader", flag.ContinueOnError)
	logs := flags.String("logs-url", "", "`URL` of the log store; without it, logs are not served")
	metrics := flags.String("metrics-url", "", "`URL` of the metric store; without it, metrics are not served")
	flags.StringVar(&o.listen, "listen", ":10250", "`address` where the API server connects to")
	flags.StringVar(&o.certFile, "tls-cert-file", "/etc/reader/tls.crt", "`file` with the serving certificate")
	flags.StringVar(&o.keyFile, "tls-private-key-file", "/etc/reader/tls.key", "`file` with the key of the serving certificate")
	flags.StringVar(&o.metricsListen, "metrics-listen", ":8080", "`address` of /metrics, /livez and /readyz")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var faults []error
	if flags.NArg() > 0 {
		faults = append(faults, fmt.Errorf("argument %q: none is understood; write flags", flags.Arg(0)))
	}
	if *logs == "" && *metrics == "" {
		faults = append(faults, errors.New("--logs-url and --metrics-url: one of them must be given"))
	}
	var err error
	if o.logsURL, err = storeURL(*logs); err != nil {
		faults = append(faults, fmt.Errorf("--logs-url %w", err))
	}
	if o.metricsURL, err = storeURL(*metrics); err != nil {
		faults = append(faults, fmt.Errorf("--metrics-url %w", err))
	}
	for name, address := range map[string]string{"listen": o.listen, "metrics-listen": o.metricsListen} {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			faults = append(faults, fmt.Errorf("--%s %q: not an address; write host:port or :port", name, address))
		}
	}
	return o, errors.Join(faults...)
}

// storeURL parses the address of a store, which is nil if there is none.
func storeURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || text != "http://"+address.Host {
		return nil, fmt.Errorf("%q: must be http://host:port and nothing more", text)
	}
	return address, nil
}

// serve serves both addresses until ctx ends.
func serve(ctx context.Context, o options, log *slog.Logger, clients kubernetes.Interface, names metadata.Interface) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // what watches the cluster outlasts ctx, until the last query
	defer stop()
	front, err := newFrontProxy(running, o, clients)
	if err != nil {
		return err
	}
	s := &server{
		log: log, requests: newRequestMetrics(), who: front.authenticator, namespaces: newNamespaces(running, names),
		resources: map[string]resource{},
	}
	if o.logsURL != nil {
		store := newVictoriaLogs(o.logsURL, log)
		s.resources[resourceLogs] = &logs{
			store: store, queries: newQueries(store, o.queryTimeout, runningPerUser, queriesInAll), follows: newLimiter(followsPerUser, followsInAll),
			namespaces: s.namespaces, requests: s.requests, followTimeout: o.followTimeout, stopping: ctx,
		}
	}
	if o.metricsURL != nil {
		store := newVictoriaMetrics(o.metricsURL, log, o.settle)
		s.resources[resourceMetrics] = &metrics{store: store, queries: newQueries(store, o.queryTimeout, runningMetricsPerUser, runningMetrics), namespaces: s.namespaces}
		go store.former.watch(running, s.namespaces)
	}
	ready := func() error {
		switch {
		case ctx.Err() != nil:
			return errors.New("shutting down")
		case !front.known():
			return errors.New("the front proxy of the apiserver is not known: ConfigMap kube-system/extension-apiserver-authentication" +
				" is not read, or has no requestheader-client-ca-file")
		case !s.namespaces.synced():
			return errors.New("the namespaces are not read yet")
		}
		return nil
	}

	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w", o.listen, err)
	}
	metricsListener, err := net.Listen("tcp", o.metricsListen)
	if err != nil {
		return errors.Join(fmt.Errorf("--metrics-listen %q: %w", o.metricsListen, err), listener.Close())
	}
	common := func(handler http.Handler) *http.Server {
		return &http.Server{
			Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}
	}
	api, probes := common(s.handler()), common(s.probes(ready))
	api.TLSConfig = front.tls
	probes.ReadTimeout, probes.WriteTimeout = readTimeout, readTimeout
	served := make(chan error, 2)
	go func() { served <- api.ServeTLS(listener, "", "") }()
	go func() { served <- probes.Serve(metricsListener) }()
	log.Info("listening", "address", listener.Addr().String(), "metrics", metricsListener.Addr().String())

	select {
	case err = <-served:
		err = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		log.Info("shutting down")
		draining, cancel := context.WithTimeout(running, drainTimeout)
		defer cancel()
		err = api.Shutdown(draining)
	}
	return errors.Join(err, api.Close(), probes.Close())
}
