package journal

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// gatewayAPI is the version of the Gateway API's standard channel: https://gateway-api.sigs.k8s.io/
const gatewayAPI = "gateway.networking.k8s.io/v1"

// The listeners of the Gateway: the ports are those of the schemes.
const (
	httpListener, httpListenerPort   = "http", 80
	httpsListener, httpsListenerPort = "https", 443
)

// gateway declares a Gateway and an HTTPRoute. With a certificate, the routes are on HTTPS, and HTTP redirects to it.
func (args *ExposureArgs) gateway(ctx *pulumi.Context, name string, part kube.Part, certificate pulumi.StringInput, parent pulumi.Resource) error {
	listeners, section := pulumi.Array{args.listener(httpListener, "HTTP", httpListenerPort)}, httpListener
	if certificate != nil {
		https := args.listener(httpsListener, "HTTPS", httpsListenerPort)
		https["tls"] = pulumi.Map{
			"mode":            pulumi.String("Terminate"),
			"certificateRefs": pulumi.Array{pulumi.Map{"kind": pulumi.String("Secret"), "name": certificate}},
		}
		listeners, section = append(listeners, https), httpsListener
	}
	gateway, err := kube.Custom{
		APIVersion: gatewayAPI, Kind: "Gateway", Part: part, Namespace: args.Namespace,
		Spec: pulumi.Map{"gatewayClassName": pulumi.String(args.Class), "listeners": listeners},
	}.Declare(ctx, name, pulumi.Parent(parent))
	if err != nil {
		return err
	}
	var rules pulumi.Array
	for _, to := range args.targets() {
		rules = append(rules, pulumi.Map{
			"matches": pulumi.Array{pulumi.Map{"path": pulumi.Map{
				"type": pulumi.String("PathPrefix"), "value": pulumi.String(to.prefix),
			}}},
			"backendRefs": pulumi.Array{pulumi.Map{"name": to.Service, "port": pulumi.Int(to.Port)}},
		})
	}
	after := pulumi.DependsOn([]pulumi.Resource{gateway})
	if err := args.httpRoute(ctx, name, part, part.App, section, rules, pulumi.Parent(parent), after); err != nil {
		return err
	}
	if certificate == nil {
		return nil
	}
	redirect := pulumi.Map{"scheme": pulumi.String("https"), "statusCode": pulumi.Int(301)}
	if args.Port != 0 {
		redirect["port"] = pulumi.Int(args.Port)
	}
	return args.httpRoute(ctx, name+"-redirect", part, part.App+"-redirect", httpListener, pulumi.Array{pulumi.Map{
		"filters": pulumi.Array{pulumi.Map{"type": pulumi.String("RequestRedirect"), "requestRedirect": redirect}},
	}}, pulumi.Parent(parent), after)
}

// listener is a listener for the host, which routes of the Gateway's own namespace may use.
func (args *ExposureArgs) listener(name, protocol string, port int) pulumi.Map {
	return pulumi.Map{
		"name":          pulumi.String(name),
		"protocol":      pulumi.String(protocol),
		"port":          pulumi.Int(port),
		"hostname":      pulumi.String(args.Host),
		"allowedRoutes": pulumi.Map{"namespaces": pulumi.Map{"from": pulumi.String("Same")}},
	}
}

// httpRoute declares the rules of one listener.
func (args *ExposureArgs) httpRoute(ctx *pulumi.Context, name string, part kube.Part, object, listener string, rules pulumi.Array, opts ...pulumi.ResourceOption) error {
	_, err := kube.Custom{
		APIVersion: gatewayAPI, Kind: "HTTPRoute", Part: part, Name: object, Namespace: args.Namespace,
		Spec: pulumi.Map{
			"parentRefs": pulumi.Array{pulumi.Map{"name": pulumi.String(part.App), "sectionName": pulumi.String(listener)}},
			"hostnames":  pulumi.ToStringArray([]string{args.Host}),
			"rules":      rules,
		},
	}.Declare(ctx, name, opts...)
	return err
}
