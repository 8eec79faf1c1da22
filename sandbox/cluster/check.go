package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"example.com/journal/components/journal"
	"example.com/journal/components/observe"
	"example.com/journal/stacks"
)

// defaultStorageClass is the annotation of the StorageClass for claims that name none.
const defaultStorageClass = "storageclass.kubernetes.io/is-default-class"

// placeholder is the end of an image's tag in a stack's file as long as the image is not built.
const placeholder = "-0000000"

// Check asks the cluster for everything that the stack's configuration takes for granted, and reports all that is missing.
// The doctor checks what every stack needs: the version of Kubernetes, rights, and a way to get images to the cluster.
func (c *foreign) Check(ctx context.Context, decided *stacks.Config) error {
	if err := c.Connect(ctx); err != nil || decided == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	exposure, on := decided.Journal.Exposure, map[bool]string{true: "true"}
	errs := []error{
		c.checkImages(*decided), c.checkStorage(ctx, "journal:redis.storage.class", decided.Journal.Redis.Storage.Class),
		c.has(ctx, "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies", "journal:cluster.podDefaults", on[decided.Cluster.FillsIn()],
			"no MutatingAdmissionPolicy of version v1, which Kubernetes has since 1.36; write podDefaults: false, or upgrade the cluster"),
		c.has(ctx, "/apis/cert-manager.io/v1", "journal:exposure.tls.issuer", exposure.TLS.Issuer,
			"no cert-manager.io/v1; install cert-manager, or write secret or selfSigned in its place"),
		c.has(ctx, "/apis/metrics.k8s.io/v1beta1", "journal:cluster.resourceMetrics", on[decided.Cluster.ResourceMetrics],
			"no metrics.k8s.io/v1beta1; write journal:resourceMetrics in its place"),
	}
	if decided.IngressController == nil {
		errs = append(errs, c.checkClass(ctx, cmp.Or(exposure.Kind, journal.KindIngress), cmp.Or(exposure.Class, "traefik"), exposure.TLS.Enabled()))
	}
	if decided.ResourceMetrics != nil {
		errs = append(errs, c.checkResourceMetrics(ctx))
	}
	if decided.Logs != nil {
		errs = append(errs, c.checkStorage(ctx, "journal:logs.store.storage.class", decided.Logs.Store.Storage.Class))
	}
	if decided.Metrics != nil {
		errs = append(errs, c.checkStorage(ctx, "journal:metrics.store.storage.class", decided.Metrics.Store.Storage.Class))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s lacks what the stack needs, nothing was changed:\n%w", c, err)
	}
	return nil
}

// checkImages checks that pods can get the images. Whether the cluster may pull them shows only when it does.
func (c *foreign) checkImages(decided stacks.Config) error {
	if c.takesImages() {
		return nil
	}
	built := func(key string, image pulumi.StringInput) error {
		if reference := fmt.Sprint(image); strings.HasSuffix(reference, placeholder) {
			return fmt.Errorf("%s %q: stands for an image that is yet to be built; name a registry that you push to and the cluster pulls from, such as REGISTRY=registry.example.com/team-a", key, reference)
		}
		return nil
	}
	errs := []error{built("journal:api.image", decided.Journal.API.Image), built("journal:frontend.image", decided.Journal.Frontend.Image)}
	if decided.Claims != nil {
		errs = append(errs, built("journal:claims.image", decided.Claims.Image))
	}
	if decided.Logs != nil {
		errs = append(errs, built("journal:logs.agent.image", decided.Logs.Agent.Image))
	}
	if decided.Reader != nil {
		errs = append(errs, built("journal:reader.image", decided.Reader.Image))
	}
	return errors.Join(errs...)
}

func (c *foreign) checkStorage(ctx context.Context, key, class string) error {
	const path = "/apis/storage.k8s.io/v1/storageclasses"
	if class != "" {
		return c.has(ctx, path+"/"+class, key, class, "no StorageClass of this name; name one that it has")
	}
	var classes storagev1.StorageClassList
	if err := c.client.RESTClient().Get().AbsPath(path).Do(ctx).Into(&classes); err != nil {
		return err
	}
	for _, found := range classes.Items {
		if found.Annotations[defaultStorageClass] == "true" {
			return nil
		}
	}
	return fmt.Errorf("%s: the cluster has no default StorageClass; name one of its %d, or install one", key, len(classes.Items))
}

// checkClass checks that the cluster has the controller that serves the Ingress or Gateway.
func (c *foreign) checkClass(ctx context.Context, kind, class string, tls bool) error {
	path, name := "/apis/networking.k8s.io/v1/ingressclasses/", "IngressClass"
	if kind == journal.KindGateway {
		path, name = "/apis/gateway.networking.k8s.io/v1/gatewayclasses/", "GatewayClass"
	}
	err := c.has(ctx, path+class, "journal:exposure.class", class, "no "+name+" of this name; name one that it has, or write journal:ingressController: {}")
	if err == nil && kind == journal.KindIngress && class == "traefik" && tls { // HTTP is redirected by a Middleware
		err = c.has(ctx, "/apis/traefik.io/v1alpha1", "journal:exposure.class", class, "no traefik.io/v1alpha1; install Traefik's CRDs")
	}
	return err
}

// has checks that the API server has what a key's value needs. An empty value needs nothing. Lacks says what to do if not.
func (c *foreign) has(ctx context.Context, path, key, value, lacks string) error {
	if value == "" {
		return nil
	}
	err := c.client.RESTClient().Get().AbsPath(path).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %q: the cluster has %s", key, value, lacks)
	}
	return err
}

// checkResourceMetrics refuses to bring resource metrics to a cluster that has others.
func (c *foreign) checkResourceMetrics(ctx context.Context) error {
	service, err := c.client.RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io").DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return nil
	} else if err == nil && !bytes.Contains(service, []byte(`"`+(*observe.ResourceMetricsArgs)(nil).Namespaces()[0]+`"`)) {
		err = errors.New(`journal:resourceMetrics: the cluster serves metrics.k8s.io already; write journal:cluster: {resourceMetrics: true} in its place`)
	}
	return err
}
