package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	"example.com/journal/components/journal"
	"example.com/journal/sandbox/objects"
	"example.com/journal/stacks"
)

// oldest is the first Kubernetes that knows all that the stack uses: ValidatingAdmissionPolicy, and a pause before a
// container is stopped.
var oldest = version.MustParseGeneric("1.30.0")

// defaultStorageClass marks the StorageClass of volumes that name none.
const defaultStorageClass = "storageclass.kubernetes.io/is-default-class"

// placeholder ends the tag of an image that a stack's file names before it is built.
const placeholder = "-0000000"

// Check asks the cluster for everything that the stack takes as given, and reports all that it lacks at once.
func (c *foreign) Check(ctx context.Context, decided *stacks.Config) error {
	if err := c.Connect(ctx); err != nil || decided == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	errs := []error{c.checkVersion(), c.checkImages(*decided), c.checkStorage(ctx, decided.Journal.Redis.StorageClass)}
	exposure := decided.Journal.Exposure
	if !decided.Ingress.Enabled {
		errs = append(errs, c.checkClass(ctx, cmp.Or(exposure.Kind, journal.KindIngress), cmp.Or(exposure.Class, "traefik"), exposure.TLSSecret+exposure.TLSIssuer != "" || exposure.TLSSelfSigned != 0))
	}
	if exposure.TLSIssuer != "" {
		errs = append(errs, c.serves("cert-manager.io/v1", "exposureTlsIssuer", exposure.TLSIssuer, "install cert-manager, or set another of the exposureTls… keys"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s lacks what the stack needs, nothing was changed:\n%w", c, err)
	}
	return nil
}

func (c *foreign) checkVersion() error {
	info, err := c.client.Discovery.ServerVersion()
	if err != nil {
		return err
	}
	running, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return err
	}
	if running.LessThan(oldest) {
		return fmt.Errorf("version %s of Kubernetes: must be %d.%d or newer", info.GitVersion, oldest.Major(), oldest.Minor())
	}
	return nil
}

// checkImages wants images that pods can get. Whether the cluster may pull them shows when it does.
func (c *foreign) checkImages(decided stacks.Config) error {
	if c.loader != nil {
		if _, err := exec.LookPath(c.loader.args[0]); err != nil {
			return fmt.Errorf("context %q is a cluster of %s, which is not on PATH: install it, or name a registry that you push to and the cluster pulls from, such as REGISTRY=registry.example.com/team-a",
				c.context, c.loader.args[0])
		}
	}
	if c.TakesImages() {
		return nil
	}
	var errs []error
	for _, image := range []struct{ key, reference string }{
		{"apiImage", decided.Journal.API.Image}, {"frontendImage", decided.Journal.Frontend.Image}, {"claimsImage", decided.Cluster.ClaimsImage},
	} {
		if strings.HasSuffix(image.reference, placeholder) {
			errs = append(errs, fmt.Errorf("%s %q: stands for an image that is yet to be built; name a registry that you push to and the cluster pulls from, such as REGISTRY=registry.example.com/team-a",
				image.key, image.reference))
		}
	}
	return errors.Join(errs...)
}

func (c *foreign) checkStorage(ctx context.Context, class string) error {
	kind := schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
	if class != "" {
		return c.exists(ctx, kind, "redisStorageClass", class)
	}
	classes, err := objects.List[metav1.PartialObjectMetadata](ctx, c.client, kind, "", metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, found := range classes {
		if found.Annotations[defaultStorageClass] == "true" {
			return nil
		}
	}
	return fmt.Errorf("redisStorageClass: the cluster has no default StorageClass; name one of its %d, or install one", len(classes))
}

// checkClass wants the controller that serves the way in.
func (c *foreign) checkClass(ctx context.Context, kind, class string, tls bool) error {
	classes := schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}
	if kind == journal.KindGateway {
		classes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	}
	err := c.exists(ctx, classes, "exposureClass", class)
	if err == nil && kind == journal.KindIngress && class == "traefik" && tls { // HTTP is redirected by a Middleware
		err = c.serves("traefik.io/v1alpha1", "exposureClass", class, "install Traefik's CRDs")
	}
	return err
}

// exists wants an object that a key names.
func (c *foreign) exists(ctx context.Context, kind schema.GroupVersionResource, key, name string) error {
	_, err := c.client.Resource(kind).Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	advice := "name one that it has"
	if key == "exposureClass" {
		advice += ", or set ingressController: true"
	}
	return fmt.Errorf("%s %q: the cluster has no %s of this name; %s", key, name, kind.GroupResource(), advice)
}

// serves wants the kinds of a group, which a key asks for.
func (c *foreign) serves(group, key, value, advice string) error {
	_, err := c.client.Discovery.ServerResourcesForGroupVersion(group)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %q: the cluster does not serve %s; %s", key, value, group, advice)
	}
	return err
}
