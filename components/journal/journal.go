package journal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// Args are the parameters of the whole journal. Everything but the images has a sensible default.
type Args struct {
	// Namespace is the namespace of all parts. Two journals need two namespaces. Required.
	Namespace pulumi.StringInput `json:"-"`
	// PriorityClass is the name of the PriorityClass of all pods. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect to the API and the page. By
	// default pods of every namespace may connect.
	IngressNamespace string `json:"-"`
	// MetricsNamespace is the namespace of the metric store, whose pods may read the figures of the API and of Redis. None by
	// default.
	MetricsNamespace string `json:"-"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
	// Fenced says that the NetworkPolicies of the namespace fence the journal, such as those of a claimed namespace. The parts then
	// declare none: the namespace's must let its own pods connect to each other, and the Ingress controller to them. Who else may
	// connect is theirs to say. Off by default.
	Fenced bool `json:"-"`
	// Redis, API, Frontend and Exposure are the parameters of the parts. What a part leaves out and the journal has, such as
	// the namespace, is the journal's. They do not say what else a part leads to: the parts of a journal lead to each other.
	Redis    RedisArgs    `json:"redis"`
	API      APIArgs      `json:"api"`
	Frontend FrontendArgs `json:"frontend"`
	Exposure ExposureArgs `json:"exposure"`
	// ReadOnly lets users read entries but not change them: for a migration, or an archive.
	ReadOnly bool `json:"readOnly"`
	// RolloutTimeout is how long, in seconds, an update of a part's pods may make no progress before it fails. The old pods
	// stay.
	RolloutTimeout int `json:"rolloutTimeout" default:"180" minimum:"30"`
	// ConfigVersions is how many versions of each configuration are kept, including the current one, so that a failed rollout
	// can go back to the one before.
	ConfigVersions int `json:"configVersions" default:"3" minimum:"2" maximum:"20"`
}

// Journal is the whole application: Redis, the REST API, the static page and the routes to them.
type Journal struct {
	pulumi.ResourceState

	// Redis, API, Frontend and Exposure are the parts.
	Redis    *Redis
	API      *API
	Frontend *Frontend
	Exposure *Exposure
	// Workloads exist once every pod of the journal is as declared.
	Workloads []pulumi.CustomResource
}

// named returns a copy in which the parts have names. They do not depend on the journal's own name: the Services of every
// journal are redis, api and frontend. It takes nil as all defaults.
func (args *Args) named() Args {
	var a Args
	if args != nil {
		a = *args
	}
	a.Redis.App, a.API.App = cmp.Or(a.Redis.App, "redis"), cmp.Or(a.API.App, "api")
	a.Frontend.App, a.Exposure.App = cmp.Or(a.Frontend.App, "frontend"), cmp.Or(a.Exposure.App, "exposure")
	if len(a.Redis.Clients) == 0 {
		a.Redis.Clients = []string{a.API.App}
	}
	return a
}

// shared returns a copy in which each part takes omitted fields from the journal.
func (args *Args) shared() Args {
	a := args.named()
	for _, part := range []struct {
		timeout, versions *int
		readOnly          **bool
	}{
		{&a.Redis.RolloutTimeout, &a.Redis.ConfigVersions, nil},
		{&a.API.RolloutTimeout, &a.API.ConfigVersions, &a.API.ReadOnly},
		{&a.Frontend.RolloutTimeout, &a.Frontend.ConfigVersions, &a.Frontend.ReadOnly},
	} {
		*part.timeout, *part.versions = cmp.Or(*part.timeout, a.RolloutTimeout), cmp.Or(*part.versions, a.ConfigVersions)
		if part.readOnly != nil {
			*part.readOnly = cmp.Or(*part.readOnly, &a.ReadOnly)
		}
	}
	for _, namespace := range []*pulumi.StringInput{&a.Redis.Namespace, &a.API.Namespace, &a.Frontend.Namespace, &a.Exposure.Namespace} {
		*namespace = cmp.Or(*namespace, a.Namespace)
	}
	for _, class := range []*pulumi.StringInput{&a.Redis.PriorityClass, &a.API.PriorityClass, &a.Frontend.PriorityClass} {
		*class = cmp.Or(*class, a.PriorityClass)
	}
	a.API.IngressNamespace = cmp.Or(a.API.IngressNamespace, a.IngressNamespace)
	a.Frontend.IngressNamespace = cmp.Or(a.Frontend.IngressNamespace, a.IngressNamespace)
	a.Redis.MetricsNamespace = cmp.Or(a.Redis.MetricsNamespace, a.MetricsNamespace)
	a.API.MetricsNamespace = cmp.Or(a.API.MetricsNamespace, a.MetricsNamespace)
	for _, fenced := range []*bool{&a.Redis.Fenced, &a.API.Fenced, &a.Frontend.Fenced} {
		*fenced = *fenced || a.Fenced
	}
	for _, dns := range []*kube.DNS{&a.Redis.DNS, &a.API.DNS} {
		if *dns == nil {
			*dns = a.DNS
		}
	}
	return a
}

// Check returns every rule that the arguments and those of the parts break. A part's faults have paths such as redis.replicas.
func (args *Args) Check() rules.Faults {
	a := args.named() // not shared, so that a fault of what is shared is reported once
	rules.SetDefaults(&a)
	all := rules.CheckTags(a)
	if a.IngressNamespace != "" {
		all.Check("ingressNamespace", a.IngressNamespace, rules.CheckName(a.IngressNamespace))
	}
	all = append(all, checkMetricsNamespace(a.MetricsNamespace)...)
	all = append(all, a.DNS.Check()...)
	all = append(all, a.checkFenced()...)
	const own = "the parts of a journal lead to each other; leave it out, or declare the parts one by one, with NewRedis, NewAPI, NewFrontend and NewExposure"
	if a.API.Redis.given() {
		all.Refuse("api.redis", "", own)
	}
	if a.Exposure.API != (Backend{}) {
		all.Refuse("exposure.api", "", own)
	}
	if a.Exposure.Frontend != (Backend{}) {
		all.Refuse("exposure.frontend", "", own)
	}
	all = append(all, a.Redis.withDefaults("").check().In("redis")...)
	all = append(all, a.API.withDefaults("").check().In("api")...)
	all = append(all, a.Frontend.withDefaults("").check().In("frontend")...)
	return append(all, a.Exposure.withDefaults("").check().In("exposure")...)
}

// checkFenced refuses what only NetworkPolicies of the parts would have.
func (args Args) checkFenced() (f rules.Faults) {
	const fix = "the namespace is fenced, and its own NetworkPolicies say who may connect; leave it out, or leave fenced out"
	for _, one := range []struct {
		field string
		value any
		given bool
	}{
		{"ingressNamespace", args.IngressNamespace, args.IngressNamespace != ""}, {"metricsNamespace", args.MetricsNamespace, args.MetricsNamespace != ""},
		{"dns", args.DNS, len(args.DNS) > 0},
	} {
		if args.Fenced && one.given {
			f.Refuse(one.field, one.value, fix)
		}
	}
	return f
}

// checkNamespaces returns the faults of the journal's namespace, and of the parts' own ones.
func (args *Args) checkNamespaces() rules.Faults {
	f := checkNamespace(args.Namespace)
	for _, part := range []struct {
		name      string
		namespace pulumi.StringInput
	}{{"redis", args.Redis.Namespace}, {"api", args.API.Namespace}, {"frontend", args.Frontend.Namespace}, {"exposure", args.Exposure.Namespace}} {
		if part.namespace != args.Namespace {
			f = append(f, checkNamespace(part.namespace).In(part.name)...)
		}
	}
	return f
}

// Demand returns the most that the journal takes of its namespace's quota, part by part.
func (args *Args) Demand() []kube.Demand {
	a := args.named()
	return []kube.Demand{a.Redis.Demand(a.Redis.App), a.API.Demand(a.API.App), a.Frontend.Demand(a.Frontend.App)}
}

// CheckUpdate returns what Check returns, and the rules that the arguments break as an update of the journal of this name:
// volumes that would shrink, or a password that is still used. It lets a program refuse an update before it declares anything.
func (args *Args) CheckUpdate(ctx *pulumi.Context, name string) (rules.Faults, error) {
	last, err := kube.LastOutput[history](ctx, historyOutput(name))
	return args.checkAfter(last), err
}

func (args *Args) checkAfter(last history) rules.Faults {
	a := args.shared()
	return append(args.Check(), a.Redis.withDefaults("").checkAfter(last.Redis).In("redis")...)
}

// New declares the journal. The error names every argument that breaks a rule, of all parts at once.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Journal, error) {
	last, err := kube.LastOutput[history](ctx, historyOutput(name))
	if err != nil {
		return nil, fmt.Errorf("journal %q: %w", name, err)
	}
	a := args.shared()
	if err := slices.Concat(a.checkNamespaces(), args.checkAfter(last)).Err(); err != nil {
		return nil, fmt.Errorf("journal %q: %w", name, err)
	}
	j := &Journal{}
	if err := ctx.RegisterComponentResourceV2(journalType, name, pulumi.Map{}, j, opts...); err != nil {
		return nil, err
	}

	// The parts' names in Pulumi's state begin with the journal's, so that two journals fit into one stack.
	child := pulumi.Parent(j)
	if j.Redis, err = newRedis(ctx, name+"-redis", &a.Redis, last.Redis, child); err != nil {
		return nil, err
	}
	a.API.Redis = j.Redis.Client()
	if j.API, err = newAPI(ctx, name+"-api", &a.API, last.API, child); err != nil {
		return nil, err
	}
	if j.Frontend, err = newFrontend(ctx, name+"-frontend", &a.Frontend, last.Frontend, child); err != nil {
		return nil, err
	}
	a.Exposure.API, a.Exposure.Frontend = j.API.Backend(), j.Frontend.Backend()
	if j.Exposure, err = NewExposure(ctx, name+"-exposure", &a.Exposure, child); err != nil {
		return nil, err
	}
	j.Workloads = []pulumi.CustomResource{j.Redis.rollout, j.API.rollout, j.Frontend.rollout}
	this := history{Redis: j.Redis.history, API: j.API.configs, Frontend: j.Frontend.configs}
	if err := kube.KeepOutput(ctx, historyOutput(name), this, j.Workloads...); err != nil {
		return nil, err
	}
	return j, ctx.RegisterResourceOutputs(j, pulumi.Map{
		"url":               j.Exposure.URL,
		"redisWriteAddress": j.Redis.WriteAddress,
		"redisReadAddress":  j.Redis.ReadAddress,
	})
}
