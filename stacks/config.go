package stacks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/ingress"
	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/components/observe"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
	"example.com/journal/components/tenancy/claims"
)

// Config is the whole configuration of a stack. Its fields are the keys of Pulumi.<stack>.yaml, named by their tags. The
// fields below them are the arguments of the components. Omitted fields have the component's default.
type Config struct {
	// Namespace is the journal's namespace. The stack creates it, as a tenant of its own.
	Namespace string `json:"namespace" default:"journal"`
	// Journal are the parameters of the journal. Each of its fields is a key.
	Journal journal.Args `json:",inline"`
	// ExistingNamespace says that the namespace is there already, with a quota and NetworkPolicies, such as one that a claim has made.
	// The stack then declares the journal alone: no namespace, no NetworkPolicy and nothing that the cluster shares. Of the other
	// keys it takes those of the journal. Off by default.
	ExistingNamespace bool `json:"existingNamespace"`
	// IngressController is Traefik, installed by its Helm chart, for a cluster without an Ingress controller. By default none
	// is installed; {} installs one with all defaults.
	IngressController *ingress.ControllerArgs `json:"ingressController"`
	// Classes are the sizes of namespaces, by name. small, medium and large exist already; an entry changes one of them or
	// adds another.
	Classes tenancy.Classes `json:"classes"`
	// Tenants are the people and teams with a namespace each.
	Tenants []tenancy.TenantArgs `json:"tenants"`
	// Tenant is the tenant of the journal's own namespace. It has no name and no hosts: its name is the key namespace, and its
	// only host is exposure.host.
	Tenant tenancy.TenantArgs `json:"tenant"`
	// Claims are temporary namespaces that developers ask for. By default there are none.
	Claims *claims.Args `json:"claims"`
	// ResourceMetrics are the resource metrics, which kubectl top shows and which pods are scaled by. By default there are none. Leave it
	// out on a cluster that serves them already, and say so in cluster.resourceMetrics.
	ResourceMetrics *observe.ResourceMetricsArgs `json:"resourceMetrics"`
	// Logs keep what the pods of the cluster write, also after they are gone. By default nothing is kept. They need the key reader.
	Logs *observe.LogServiceArgs `json:"logs"`
	// Metrics keep the figures of the cluster's pods, and raise alerts by them. By default nothing is kept. They need the key reader.
	Metrics *observe.MetricsServiceArgs `json:"metrics"`
	// Reader lets people read the logs and the figures, with the rights that they have in a namespace. By default there is none. It
	// needs the key logs or the key metrics.
	Reader *observe.ReaderArgs `json:"reader"`
	// Cluster are the settings that all namespaces of the cluster share.
	Cluster Cluster `json:"cluster"`

	source *source
}

// Cluster are a stack's settings for all namespaces of its cluster, and facts about the cluster itself.
type Cluster struct {
	// Domain is the domain of the namespaces' hosts, *.<namespace>.<domain>.
	Domain string `json:"domain" default:"localhost"`
	// DNS are address ranges of the cluster's DNS, such as 169.254.20.10/32, besides its pods in kube-system. Set it if a DNS
	// server or cache listens on the nodes.
	DNS kube.DNS `json:"dns"`
	// Addresses are ranges of the cluster's pods, Services and nodes that are public, such as 198.51.100.0/24. A tenant's egress
	// to the Internet leaves them out, as it does private ones. By default there are none.
	Addresses tenancy.Addresses `json:"addresses"`
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect to the pods. The default is
	// that of ingressController; without one, every namespace that belongs to no tenant may connect.
	IngressNamespace string `json:"ingressNamespace"`
	// ResourceMetrics says that the cluster itself serves resource metrics, so that pods can be scaled by load without the key
	// resourceMetrics. Off by default.
	ResourceMetrics bool `json:"resourceMetrics"`
	// ImagePolicy restricts the images that tenants may run.
	ImagePolicy tenancy.ImagePolicyArgs `json:"imagePolicy"`
	// PullSecret are the credentials of a registry, for the pods of all tenants. By default there are none. Claimed namespaces
	// do not have them. The cluster must have Kubernetes 1.36 or newer.
	PullSecret *tenancy.PullSecretArgs `json:"pullSecret"`
	// AdmissionPoliciesArgs are the parameters of the tenants' ValidatingAdmissionPolicies.
	tenancy.AdmissionPoliciesArgs
	// Unprotected makes every tenant unprotected, including the journal's own namespace. Run an update with it before `pulumi
	// destroy`, which deletes the whole stack or nothing. Off by default.
	Unprotected bool `json:"unprotected"`
	// Kubeconfig are the settings of the tenants' kubeconfigs, which are an output of the stack if it is set. By default there
	// are none, for users with certificates.
	Kubeconfig *tenancy.KubeconfigArgs `json:"kubeconfig"`
}

// keysOf returns the keys that a stack may set.
func keysOf() []field { return fieldsOf(reflect.TypeFor[Config]()) }

// Load reads the configuration of the running stack. The error holds all faults, each with its place, value, rule and fix.
func Load(ctx *pulumi.Context) (Config, error) {
	s := newSource(ctx.Project(), ctx.Stack())
	// Pulumi gives a program only the keys that it asks for, so unknown keys are found in the stack's file. A program that
	// runs inline in another one has no folder; the outer one calls Check. Others have one: see FindRoot.
	if root := ctx.RootDirectory(); root != "" {
		var err error
		if s, err = readFiles(root, ctx.Stack()); err != nil {
			return Config{}, err
		}
	}
	s.secrets = map[string]string{}
	for _, key := range keysOf() {
		path := s.path(key.name)
		if text, set := ctx.GetConfig(path); set {
			if ctx.IsConfigSecret(path) {
				s.decrypted(path, text)
			}
			s.engineValue(key, text, ctx.IsConfigSecret(path))
		}
	}
	return s.config()
}

// FindRoot is an option of pulumi.Run. An older Pulumi does not say where the project is, but starts its program there: the
// working directory becomes the root folder if it holds this project.
func FindRoot(info *pulumi.RunInfo) {
	if info.RootDirectory != "" {
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		return
	}
	if project, err := workspace.LoadProject(filepath.Join(dir, "Pulumi.yaml")); err == nil && string(project.Name) == info.Project {
		info.RootDirectory = dir
	}
}

// Check reads the configuration of a stack from Pulumi.yaml and Pulumi.<stack>.yaml in dir, without an engine, and reports the
// faults that Load would. A program can thus refuse a stack before anything starts.
func Check(dir, stack string) error {
	_, err := Read(dir, stack)
	return err
}

// Read returns the configuration that Check checks, for a program that depends on it.
func Read(dir, stack string) (Config, error) {
	s, err := readFiles(dir, stack)
	if err != nil {
		return Config{}, err
	}
	return s.config()
}

// engineValue takes a key's value from the engine, unless the file has the same value, with its lines. It does not take
// encrypted values of the file decrypted, so that no message can show them.
func (s *source) engineValue(key field, text string, secret bool) {
	path := s.path(key.name)
	if has, set := s.texts[key.name]; set && (has == text || s.hidden[key.name]) {
		return
	}
	s.engines[path] = true
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if secret {
		node = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "secure"}, node}}
	} else if !isScalar(key.Type) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(text), &document); err == nil && len(document.Content) == 1 { // JSON is YAML
			node = document.Content[0]
		}
	}
	s.values[key.name] = node
}

// decrypted keeps the texts of a key that has something encrypted in it.
func (s *source) decrypted(path, text string) {
	var document any
	if json.Unmarshal([]byte(text), &document) != nil {
		return // no object or list, and no key that is a text is a secret
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case string:
			s.secrets[path] = v
		case map[string]any:
			for key, inner := range v {
				walk(child(path, key), inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), inner)
			}
		}
	}
	walk(path, document)
}

func isScalar(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Int || t.Kind() == reflect.Bool
}

// config decodes the values and checks the whole. It reports every fault of the file, of single values and of the components.
func (s *source) config() (Config, error) {
	c := Config{source: s}
	for _, key := range keysOf() {
		node := s.values[key.name]
		if node == nil {
			text, has := key.Tag.Lookup("default")
			if !has {
				continue
			}
			node = &yaml.Node{Kind: yaml.ScalarNode, Value: text}
		}
		// `pulumi config set` writes the value of a key in quotes. Inside of an object, with --path, it does not.
		if isScalar(key.Type) && node.ShortTag() == "!!str" && key.Type.Kind() != reflect.String {
			node = &yaml.Node{Kind: yaml.ScalarNode, Value: node.Value, Line: node.Line}
		}
		s.value(s.path(key.name), node, reflect.ValueOf(&c).Elem().FieldByIndex(key.Index), key.Tag)
	}
	all := slices.Clone(s.faults)
	for _, fault := range c.complete() {
		if path := s.path(fault.Path); !s.hides(path) {
			all = append(all, &rules.Fault{Path: path, Value: fault.Value, Rule: fault.Rule})
		}
	}
	if len(all) == 0 {
		return c, heading(s.stack, s.unloaded)
	}
	return c, s.err(all)
}

// complete fits the parts of the configuration to each other, and returns every rule that it breaks.
func (c *Config) complete() rules.Faults {
	if c.ExistingNamespace {
		return c.completeAlone()
	}
	rules.SetDefaults(&c.Cluster)
	c.completeIngress()
	faults := c.completeTenant()
	c.completeLogs()
	c.completeMetrics()
	c.completeReader()
	return append(faults, c.check()...)
}

// refuse returns the faults of a configuration that has been read as one error, as Load does.
func (c *Config) refuse(faults rules.Faults) error {
	of := make(rules.Faults, len(faults))
	for i, fault := range faults {
		of[i] = &rules.Fault{Path: c.source.path(fault.Path), Value: fault.Value, Rule: fault.Rule}
	}
	return c.source.err(of)
}

// check returns every rule that the completed configuration breaks.
func (c *Config) check() rules.Faults {
	f := slices.Concat(c.Journal.Check(), c.checkTenants(), c.checkClaims(), c.checkImages(), c.checkKubeconfig(), c.checkIngress(), c.checkResourceMetrics(), c.checkLogs(), c.checkMetrics(), c.checkReader(), c.checkNamespaces())
	// The settings that all namespaces share are checked once, where they are declared.
	f = slices.DeleteFunc(f, func(fault *rules.Fault) bool {
		name := fault.Path[strings.LastIndex(fault.Path, ".")+1:]
		return strings.HasPrefix(name, "dns[") || strings.HasPrefix(name, "addresses[") || name == "ingressNamespace" || name == "metricsNamespace" || name == "domain" ||
			strings.Contains(fault.Path, "pullSecret.")
	})
	return append(f, c.Cluster.check().In("cluster")...)
}

// check returns every rule that the fields of the cluster itself break.
func (c *Cluster) check() rules.Faults {
	f := append(c.DNS.Check(), c.Addresses.Check()...)
	f.Check("domain", c.Domain, rules.CheckHost(c.Domain))
	if c.IngressNamespace != "" {
		f.Check("ingressNamespace", c.IngressNamespace, rules.CheckName(c.IngressNamespace))
	}
	f = append(f, c.ImagePolicy.Check().In("imagePolicy")...)
	if c.PullSecret != nil {
		f = append(f, c.PullSecret.Check().In("pullSecret")...)
	}
	admission := &c.AdmissionPoliciesArgs
	return append(f, admission.Check()...)
}
