// Command namespace-controller gives developers temporary namespaces. Whoever creates a NamespaceClaim in a namespace of a
// tenant owns a new namespace, with the policy objects of its class, until it expires.
//
// It reads the limits and the classes from ConfigMaps that the stack writes in the platform's namespace, and changes only
// namespaces that it created itself. Its replicas elect a leader by a lease.
//
//	--namespace        the platform's namespace; default journal-platform
//	--metrics-address  where /metrics is served; default :8080
//	--health-address   where /healthz and /readyz are served; default :8081
//	--log-level        debug, info, warn or error; default info
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"example.com/journal/services/namespace-controller/api"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "namespace-controller:", err)
		os.Exit(1)
	}
}

// run runs the controller until ctx ends, and then releases the lease.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(controllerName, flag.ContinueOnError)
	o := options{clock: newClock(), leaseDuration: 15 * time.Second, renewDeadline: 10 * time.Second, retryPeriod: 2 * time.Second}
	flags.StringVar(&o.platform, "namespace", "journal-platform", "the platform's `namespace`, with the limits, the classes and the lease")
	flags.StringVar(&o.metricsAddress, "metrics-address", ":8080", "`address` of /metrics")
	flags.StringVar(&o.healthAddress, "health-address", ":8081", "`address` of /healthz and /readyz")
	var level slog.Level
	flags.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q: none is understood; write flags", flags.Arg(0))
	}
	handler := slog.NewJSONHandler(stdout, &slog.HandlerOptions{Level: level})
	ctrl.SetLogger(logr.FromSlogHandler(handler))
	klog.SetSlogLogger(slog.New(handler))

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the apiserver: %w; run in a pod, or name a kubeconfig in KUBECONFIG", err)
	}
	manager, err := newManager(ctx, config, o)
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}

// options are what differs between the program and its tests.
type options struct {
	platform                                  string
	metricsAddress, healthAddress             string
	leaseDuration, renewDeadline, retryPeriod time.Duration
	clock                                     *clock
}

// newManager assembles the controller.
func newManager(ctx context.Context, config *rest.Config, o options) (ctrl.Manager, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = controllerName
	config.Wrap(o.clock.transport)

	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), api.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	tenants, err := labels.NewRequirement(api.LabelTenant, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}:     {Namespaces: map[string]cache.Config{o.platform: {}}},
			&corev1.Namespace{}:     {Label: labels.NewSelector().Add(*tenants)},
			&corev1.ResourceQuota{}: {Field: fields.OneTermEqualSelector("metadata.name", quotaName), Transform: trimQuota},
		}},
		LeaderElection:                true,
		LeaderElectionID:              controllerName,
		LeaderElectionNamespace:       o.platform,
		LeaderElectionReleaseOnCancel: true, // The process ends with the manager.
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.retryPeriod,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.healthAddress,
	})
	if err != nil {
		return nil, err
	}
	r := &reconciler{
		platform: o.platform, writer: manager.GetClient(), live: manager.GetAPIReader(), cached: manager.GetCache(),
		clock: o.clock, events: manager.GetEventRecorder(controllerName),
	}
	synced := func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second)
		defer cancel()
		if !manager.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the claims are not read yet")
		}
		return nil
	}
	return manager, errors.Join(
		r.setup(ctx, manager),
		metrics.Registry.Register(ends{r.cached}),
		stopper{r}.setup(manager),
		newBudgets(r).setup(ctx, manager),
		manager.AddHealthzCheck("ping", healthz.Ping),
		manager.AddReadyzCheck("claims", synced),
	)
}
