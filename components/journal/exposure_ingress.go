package journal

import (
	"example.com/journal/components/kube"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ingress declares the routes as an Ingress. An Ingress cannot say that HTTP redirects to HTTPS, so each controller has its
// own way: for class traefik a second Ingress with Traefik's Middleware; for another class it is set in the controller.
func (args *ExposureArgs) ingress(ctx *pulumi.Context, name string, part kube.Part, certificate pulumi.StringInput, parent pulumi.Resource) error {
	meta, spec := part.Meta(args.Namespace), args.ingressSpec()
	if certificate != nil {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts:      pulumi.ToStringArray([]string{args.Host}),
			SecretName: certificate,
		}}
	}
	if certificate != nil && args.Class == traefikClass {
		// Without them Traefik serves the routes on all entry points, and in plain text on some.
		meta.Annotations = pulumi.StringMap{
			"traefik.ingress.kubernetes.io/router.entrypoints": pulumi.String("websecure"),
			"traefik.ingress.kubernetes.io/router.tls":         pulumi.String("true"),
		}
		if err := args.ingressRedirect(ctx, name+"-redirect", part, parent); err != nil {
			return err
		}
	}
	_, err := networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{Metadata: meta, Spec: spec}, pulumi.Parent(parent))
	return err
}

// ingressRedirect declares what makes Traefik answer HTTP with the address of the same page on HTTPS.
func (args *ExposureArgs) ingressRedirect(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) error {
	redirect := pulumi.Map{"scheme": pulumi.String("https"), "permanent": pulumi.Bool(true)}
	if args.Port != 0 {
		redirect["port"] = pulumi.Sprintf("%d", args.Port)
	}
	object := part.App + "-redirect"
	middleware, err := kube.Custom{
		APIVersion: "traefik.io/v1alpha1", Kind: "Middleware", Part: part, Name: object, Namespace: args.Namespace,
		Spec: pulumi.Map{"redirectScheme": redirect},
	}.Declare(ctx, name, pulumi.Parent(parent))
	if err != nil {
		return err
	}
	var namespace pulumi.StringInput = pulumi.String("default")
	if args.Namespace != nil {
		namespace = args.Namespace
	}
	meta := part.Meta(args.Namespace)
	meta.Name = pulumi.String(object)
	meta.Annotations = pulumi.StringMap{
		"traefik.ingress.kubernetes.io/router.entrypoints": pulumi.String("web"),
		"traefik.ingress.kubernetes.io/router.middlewares": pulumi.Sprintf("%s-%s@kubernetescrd", namespace, object),
	}
	_, err = networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{Metadata: meta, Spec: args.ingressSpec()},
		pulumi.Parent(parent), pulumi.DependsOn([]pulumi.Resource{middleware}))
	return err
}

// ingressSpec are the routes.
func (args *ExposureArgs) ingressSpec() networkingv1.IngressSpecArgs {
	var paths networkingv1.HTTPIngressPathArray
	for _, to := range args.targets() {
		paths = append(paths, networkingv1.HTTPIngressPathArgs{
			Path:     pulumi.String(to.prefix),
			PathType: pulumi.String("Prefix"),
			Backend: networkingv1.IngressBackendArgs{Service: networkingv1.IngressServiceBackendArgs{
				Name: to.service,
				Port: networkingv1.ServiceBackendPortArgs{Number: pulumi.Int(kube.ServicePort)},
			}},
		})
	}
	return networkingv1.IngressSpecArgs{
		IngressClassName: pulumi.String(args.Class),
		Rules: networkingv1.IngressRuleArray{networkingv1.IngressRuleArgs{
			Host: pulumi.String(args.Host),
			Http: networkingv1.HTTPIngressRuleValueArgs{Paths: paths},
		}},
	}
}
