package journal

import (
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// ingress declares the routes as an Ingress. An Ingress cannot redirect HTTP to HTTPS, so this depends on the controller. For
// class traefik, a second Ingress has Traefik's Middleware. For another class, configure it in the controller.
func (args *ExposureArgs) ingress(ctx *pulumi.Context, name string, part kube.Part, certificate pulumi.StringInput, parent pulumi.Resource) error {
	meta, spec := part.Meta(args.Namespace), args.ingressSpec()
	if certificate != nil {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts:      pulumi.ToStringArray([]string{args.Host}),
			SecretName: certificate,
		}}
	}
	annotations, opts := pulumi.StringMap{}, []pulumi.ResourceOption{pulumi.Parent(parent)}
	if args.MaxInFlightPerClient > 0 {
		reference, middleware, err := args.middleware(ctx, name+"-in-flight", part, part.App+"-in-flight", pulumi.Map{"inFlightReq": pulumi.Map{
			"amount":          pulumi.Int(args.MaxInFlightPerClient),
			"sourceCriterion": pulumi.Map{"ipStrategy": pulumi.Map{"depth": pulumi.Int(0)}}, // the address that connects; a header is what anybody writes
		}}, parent)
		if err != nil {
			return err
		}
		annotations["traefik.ingress.kubernetes.io/router.middlewares"] = reference
		opts = append(opts, pulumi.DependsOn([]pulumi.Resource{middleware}))
	}
	if certificate != nil && args.Class == traefikClass {
		// Without these annotations Traefik serves the routes on all entry points, some of them in plain HTTP.
		annotations["traefik.ingress.kubernetes.io/router.entrypoints"] = pulumi.String("websecure")
		annotations["traefik.ingress.kubernetes.io/router.tls"] = pulumi.String("true")
		if err := args.ingressRedirect(ctx, name+"-redirect", part, parent); err != nil {
			return err
		}
	}
	if len(annotations) > 0 {
		meta.Annotations = annotations
	}
	_, err := networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{Metadata: meta, Spec: spec}, opts...)
	return err
}

// middleware declares one of Traefik's Middlewares, and returns how an Ingress refers to it.
func (args *ExposureArgs) middleware(ctx *pulumi.Context, name string, part kube.Part, object string, spec pulumi.Map, parent pulumi.Resource) (pulumi.StringOutput, pulumi.Resource, error) {
	middleware, err := kube.Custom{
		APIVersion: "traefik.io/v1alpha1", Kind: "Middleware", Part: part, Name: object, Namespace: args.Namespace, Spec: spec,
	}.Declare(ctx, name, pulumi.Parent(parent))
	return pulumi.Sprintf("%s-%s@kubernetescrd", args.Namespace, object), middleware, err
}

// ingressRedirect declares an Ingress and a Middleware that make Traefik redirect HTTP to the same page on HTTPS.
func (args *ExposureArgs) ingressRedirect(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) error {
	redirect := pulumi.Map{"scheme": pulumi.String("https"), "permanent": pulumi.Bool(true)}
	if args.Port != 0 {
		redirect["port"] = pulumi.Sprintf("%d", args.Port)
	}
	object := part.App + "-redirect"
	reference, middleware, err := args.middleware(ctx, name, part, object, pulumi.Map{"redirectScheme": redirect}, parent)
	if err != nil {
		return err
	}
	meta := part.Meta(args.Namespace)
	meta.Name = pulumi.String(object)
	meta.Annotations = pulumi.StringMap{
		"traefik.ingress.kubernetes.io/router.entrypoints": pulumi.String("web"),
		"traefik.ingress.kubernetes.io/router.middlewares": reference,
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
				Name: to.Service,
				Port: networkingv1.ServiceBackendPortArgs{Number: pulumi.Int(to.Port)},
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
