package journal

import (
	"cmp"
	"fmt"

	"example.com/journal/components/kube"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"
)

// Args are the parameters of the whole journal. The zero value of everything but the images is a sensible default.
type Args struct {
	// Namespace is where all parts run. The default is the provider's namespace. Two journals need two.
	Namespace pulumi.StringInput
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect to the API and the
	// page. By default pods of every namespace may.
	IngressNamespace string
	// Redis, API, Frontend and Exposure are the parameters of the parts. Their namespace, and the references between
	// them, are set here.
	Redis    RedisArgs
	API      APIArgs
	Frontend FrontendArgs
	Exposure ExposureArgs
	// ReadOnly lets entries be read and nothing be written: for a migration, or an archive. Off by default.
	ReadOnly bool
	// RolloutTimeout is how long, in seconds, an update of a part's pods may go on without progress before it fails, 30 or
	// more. The default is kube.DefaultRolloutTimeout.
	RolloutTimeout int
	// Versions is how many versions of each configuration and of the password are kept, 2 to 20: a change needs the version
	// before it, too. The default is kube.DefaultVersions.
	Versions int
	// History is what the last update has returned; empty for a first one.
	History History
}

// Journal is the whole application: Redis, the REST API, the static page and the routes to them.
type Journal struct {
	pulumi.ResourceState

	// Redis, API, Frontend and Exposure are the parts.
	Redis    *Redis
	API      *API
	Frontend *Frontend
	Exposure *Exposure
}

// withDefaults returns a copy in which the parts have their names, whatever the journal's own name is: the Services of
// every journal are redis, api and frontend.
func (args *Args) withDefaults() Args {
	var a Args
	if args != nil {
		a = *args
	}
	a.Redis.App, a.API.App, a.Frontend.App, a.Exposure.App = "redis", "api", "frontend", "exposure"
	a.Redis.Clients = []string{a.API.App}
	a.RolloutTimeout, a.Versions = cmp.Or(a.RolloutTimeout, kube.DefaultRolloutTimeout), cmp.Or(a.Versions, kube.DefaultVersions)
	a.Redis.RolloutTimeout, a.API.RolloutTimeout, a.Frontend.RolloutTimeout = a.RolloutTimeout, a.RolloutTimeout, a.RolloutTimeout
	a.Redis.Versions, a.API.Versions, a.Frontend.Versions = a.Versions, a.Versions, a.Versions
	a.Redis.History, a.API.History, a.Frontend.History = a.History.Redis, a.History.API, a.History.Frontend
	a.Redis.PasswordHistory = a.History.Passwords
	a.API.ReadOnly, a.Frontend.ReadOnly = a.ReadOnly, a.ReadOnly
	return a
}

// Check returns every rule that the arguments of the parts break. A fault's field begins with its part's name, as in
// redisReplicas.
func (args *Args) Check() kube.Faults {
	a := args.withDefaults()
	var all kube.Faults
	if a.IngressNamespace != "" {
		all.Check("ingressNamespace", a.IngressNamespace, kube.CheckName(a.IngressNamespace))
	}
	if a.RolloutTimeout < 30 {
		all.Refuse("rolloutTimeout", a.RolloutTimeout, "too short, in seconds, for a pod to start and answer its probes; write 30 or more")
	}
	if a.Versions < 2 || a.Versions > 20 {
		all.Refuse("configVersions", a.Versions, "it must be 2 to 20: the current version, and at least the one to go back to; write for example 3")
	}
	for _, part := range []struct {
		name   string
		faults kube.Faults
	}{
		{"redis", a.Redis.Check(a.Redis.App)},
		{"api", a.API.Check(a.API.App)},
		{"frontend", a.Frontend.Check(a.Frontend.App)},
		{"exposure", a.Exposure.Check(a.Exposure.App)},
	} {
		for _, fault := range part.faults {
			all = append(all, fault.Within(part.name))
		}
	}
	return all
}

// History is what the next update takes as Args.History. It is there when Redis and the API have rolled out: until then the API
// may have the password of the update before, which this history may let the next update forget.
func (j *Journal) History() pulumix.Output[History] {
	return pulumix.Apply(j.API.rollout, func(pulumi.ID) History {
		return History{Redis: j.Redis.Versions, API: j.API.Versions, Frontend: j.Frontend.Versions, Passwords: j.Redis.Passwords}
	})
}

// New declares the journal. The error names every argument that breaks a rule, of all parts at once.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Journal, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("journal %q: %w", name, err)
	}
	a := args.withDefaults()
	a.Redis.Namespace, a.API.Namespace, a.Frontend.Namespace, a.Exposure.Namespace = a.Namespace, a.Namespace, a.Namespace, a.Namespace
	a.API.IngressNamespace, a.Frontend.IngressNamespace = a.IngressNamespace, a.IngressNamespace
	j := &Journal{}
	if err := ctx.RegisterComponentResourceV2(journalType, name, pulumi.Map{}, j, opts...); err != nil {
		return nil, err
	}

	// The parts' names in Pulumi's state begin with the journal's, so that two journals fit into one stack.
	child := pulumi.Parent(j)
	var err error
	if j.Redis, err = NewRedis(ctx, name+"-redis", &a.Redis, child); err != nil {
		return nil, err
	}
	a.API.Redis = j.Redis
	if j.API, err = NewAPI(ctx, name+"-api", &a.API, child); err != nil {
		return nil, err
	}
	if j.Frontend, err = NewFrontend(ctx, name+"-frontend", &a.Frontend, child); err != nil {
		return nil, err
	}
	a.Exposure.API, a.Exposure.Frontend = j.API, j.Frontend
	if j.Exposure, err = NewExposure(ctx, name+"-exposure", &a.Exposure, child); err != nil {
		return nil, err
	}
	return j, ctx.RegisterResourceOutputs(j, pulumi.Map{
		"url":               j.Exposure.URL,
		"redisWriteAddress": j.Redis.WriteAddress,
		"redisReadAddress":  j.Redis.ReadAddress,
	})
}
