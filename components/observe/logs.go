package observe

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	// keptDays is how many days of lines the store keeps, whatever its retention in bytes says: it drops whole days, and never the
	// last two.
	keptDays = 2
	// packed is how often lines are smaller in the store than as text. 7.2 was measured on lines half of random words.
	packed = 6
	// storeAway is how long, in seconds, the store may be away until the buffer of an agent may be full.
	storeAway = 600
	// logsRolloutTimeout is how long, in seconds, the rollout of the store, the agents or the reader may take.
	logsRolloutTimeout = 600
)

// LogServiceArgs are the parameters of the logs.
type LogServiceArgs struct {
	// Agent are the parameters of the agents, one on each node, which read what the pods write.
	Agent LogAgentArgs `json:"agent"`
	// Store are the parameters of the store, which keeps the lines.
	Store LogStoreArgs `json:"store"`
	// Retention is how long the store keeps lines: it drops the oldest days once there are more days or more bytes.
	Retention LogRetention `json:"retention"`
	// PlatformShare is the share of all namespaces without a tenant together, and of each tenant that has none of its own.
	PlatformShare LogShare `json:"platformShare" default:"rate=16Ki burst=64Mi"`

	// Shares are the shares of the tenants, by name. They stand in annotations of the tenants' namespaces; here they are added up,
	// and compared with what the store and the agents keep.
	Shares map[string]LogShare `json:"-"`
	// Readers are the pods that may query the store. ReaderArgs.Peers returns those of a Reader. By default there are none.
	Readers networkingv1.NetworkPolicyPeerArray `json:"-"`
	// MetricsNamespace is the namespace of a MetricsService, which reads the figures of the store and of the agents. By default
	// nobody does.
	MetricsNamespace string `json:"-"`
	// Namespace is the namespace that is created for the store.
	Namespace string `json:"-" default:"journal-logs"`
	// AgentNamespace is the namespace that is created for the agents. Its pods may mount folders of the node.
	AgentNamespace string `json:"-" default:"journal-log-agent"`
	// PriorityClass is the name of the PriorityClass of the pods. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// APIServerPorts are the ports on which the agents connect to the API server: its Service's and its own. The default is 443
	// and 6443.
	APIServerPorts []int `json:"-" minimum:"1" maximum:"65535"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
}

// LogAgentArgs are the parameters of the agents.
type LogAgentArgs struct {
	// Image is the image of log-agent, by an exact version or a digest. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"registry.example.com/journal/log-agent:v0.1.0-0a1b2c3"`
	// Resources are those of each agent. It needs 4% of a CPU for 1,000 lines a second.
	Resources kube.Resources `json:"resources" default:"cpu=25m cpuLimit=1 memory=100Mi memoryLimit=256Mi"`
	// Buffer is how many bytes each agent keeps on its node's disk while the store is away. Further lines are dropped, and counted.
	Buffer string `json:"buffer" default:"1Gi" format:"quantity"`
}

// LogStoreArgs are the parameters of the store.
type LogStoreArgs struct {
	// Image is the image of VictoriaLogs, with an exact version. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"docker.io/victoriametrics/victoria-logs:v1.51.0"`
	// Resources are those of the pod. A quarter of its memory limit is for caches; a read of 10,000 long lines takes
	// some hundred mebibytes.
	Resources kube.Resources `json:"resources" default:"cpu=25m cpuLimit=1 memory=256Mi memoryLimit=1536Mi"`
	// Storage are the parameters of the volume.
	Storage kube.Storage `json:"storage" default:"size=10Gi"`
}

// LogRetention is how long lines are kept.
type LogRetention struct {
	// Days is how many days of lines are kept.
	Days int `json:"days" default:"7" minimum:"1" maximum:"365"`
	// Size is how many bytes the lines may take on the volume, at most 80% of it. The last two days are always kept.
	Size string `json:"size" default:"8Gi" format:"quantity"`
}

// LogShare is how much pods may write on one node. What is more is dropped, and counted.
type LogShare struct {
	// Rate is how many bytes a second may be written for long. On several nodes, pods may write as much on each.
	Rate string `json:"rate" format:"quantity"`
	// Burst is how many bytes may be written at once.
	Burst string `json:"burst" format:"quantity"`
}

// Check returns every rule that a share breaks.
func (s LogShare) Check() (f rules.Faults) {
	f.Check("rate", s.Rate, rules.CheckRate(s.Rate))
	f.Check("burst", s.Burst, rules.CheckBytes(s.Burst))
	return f
}

// LogService keeps what the pods of the cluster write, for days, also after they are gone. On each node an agent reads the files
// in which the kubelet keeps the lines, and sends them to the store, with the namespace, the pod, the container, the app and the
// tenant. A line cannot say that it is another tenant's. A Reader lets people read.
//
// A tenant that writes more than its share loses the rest, and disturbs nobody. While the store is away, the agents keep the lines
// on the nodes' disks.
//
// Deleting the service deletes its namespaces, with all lines.
type LogService struct {
	pulumi.ResourceState

	// Store is what a Reader needs to know.
	Store Store
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *LogServiceArgs) withDefaults() LogServiceArgs {
	var a LogServiceArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	a.Agent.Resources, a.Store.Resources = a.Agent.Resources.WithLimits(), a.Store.Resources.WithLimits()
	a.APIServerPorts = apiServerPorts(a.APIServerPorts)
	return a
}

// Namespaces returns the namespaces that the service creates.
func (args *LogServiceArgs) Namespaces() []string {
	a := args.withDefaults()
	return []string{a.Namespace, a.AgentNamespace}
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *LogServiceArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(a)
	f.Check("agent.image", a.Agent.Image, kube.CheckImage(a.Agent.Image, rules.OwnImage))
	f.Check("store.image", a.Store.Image, kube.CheckImage(a.Store.Image, rules.ForeignImage))
	f = append(f, a.Agent.Resources.Check().In("agent.resources")...)
	f = append(f, a.Store.Resources.Check().In("store.resources")...)
	f = append(f, a.PlatformShare.Check().In("platformShare")...)
	standard := (*LogServiceArgs)(nil).withDefaults()
	f.Check("namespace", a.Namespace, kube.CheckNewNamespace(a.Namespace, "the store", standard.Namespace))
	f.Check("agentNamespace", a.AgentNamespace, kube.CheckNewNamespace(a.AgentNamespace, "the agents", standard.AgentNamespace))
	if a.AgentNamespace == a.Namespace {
		f.Refuse("agentNamespace", a.AgentNamespace, "the store's namespace, whose pods may mount no folder of a node; write another name")
	}
	f = append(f, a.DNS.Check()...)
	return append(f, a.checkSizes()...)
}

// checkSizes returns the rules that the sizes break, each alone and with the shares.
func (args LogServiceArgs) checkSizes() rules.Faults {
	f := args.Store.Storage.Check().In("store.storage")
	f.Check("retention.size", args.Retention.Size, rules.CheckBytes(args.Retention.Size))
	f.Check("agent.buffer", args.Agent.Buffer, rules.CheckBytes(args.Agent.Buffer))
	if len(f) > 0 {
		return f
	}
	if most := times(bytesOf(args.Store.Storage.Size), 4, 5); bytesOf(args.Retention.Size).Cmp(most) > 0 {
		f.Refuse("retention.size", args.Retention.Size, "above 80%% of store.storage.size of %s, so the volume could be full before the oldest day is dropped; write a store.storage.size of %s or more, or lower it",
			args.Store.Storage.Size, rules.FormatBytes(times(bytesOf(args.Retention.Size), 5, 4)))
	}
	rates, largest, burst := bytesOf(args.PlatformShare.Rate), "", bytesOf(args.PlatformShare.Burst)
	for _, tenant := range slices.Sorted(maps.Keys(args.Shares)) {
		share := args.Shares[tenant]
		rates.Add(rates, bytesOf(share.Rate))
		if largest == "" || rules.CompareQuantities(share.Rate, args.Shares[largest].Rate) > 0 {
			largest = tenant
		}
		if one := bytesOf(share.Burst); one.Cmp(burst) > 0 {
			burst = one
		}
	}
	const second = 24 * 60 * 60 * keptDays
	if kept := times(rates, second, packed); kept.Cmp(bytesOf(args.Retention.Size)) > 0 {
		of := fmt.Sprintf("platformShare.rate of %s", args.PlatformShare.Rate)
		if largest != "" {
			of = fmt.Sprintf("the largest share is that of the tenant %s, %s", largest, rules.FormatBytes(times(bytesOf(args.Shares[largest].Rate), second, packed)))
		}
		size := rules.FormatBytes(kept)
		f.Refuse("retention.size", args.Retention.Size, "the last two days are always kept, and all shares together can fill them with %s on one node (%s); "+
			"write %[1]s or more, with a store.storage.size of %[3]s or more, or lower logRate of classes or tenants", size, of, rules.FormatBytes(times(bytesOf(size), 5, 4)))
	}
	// One tenant's burst must not fill the buffer of the others, and while the store is away everybody's lines must have room.
	if least := new(big.Rat).Add(times(burst, 2, 1), times(rates, storeAway, 1)); bytesOf(args.Agent.Buffer).Cmp(least) < 0 {
		f.Refuse("agent.buffer", args.Agent.Buffer, "too small for twice the largest burst and what all shares write in the ten minutes that the store may be away; write %s or more, or lower logBurst or logRate of classes or tenants",
			rules.FormatBytes(least))
	}
	return f
}

// bytesOf returns the value of a quantity. One that is not valid counts as 0, since its own check reports it.
func bytesOf(quantity string) *big.Rat {
	number, err := rules.ParseQuantity(quantity)
	if err != nil {
		return new(big.Rat)
	}
	return number
}

// times returns a number multiplied by a fraction.
func times(number *big.Rat, numerator, denominator int64) *big.Rat {
	return new(big.Rat).Mul(number, big.NewRat(numerator, denominator))
}

// logsHistory is the name of the stack output that one update keeps for the next: the parameters of the volume.
func logsHistory(name string) string { return name + "-history" }

// CheckUpdate returns every rule that the arguments break as the update after the last one.
func (args *LogServiceArgs) CheckUpdate(ctx *pulumi.Context, name string) (rules.Faults, error) {
	last, err := kube.LastOutput[*kube.Storage](ctx, logsHistory(name))
	if err != nil || last == nil {
		return nil, err
	}
	a := args.withDefaults()
	return a.Store.Storage.CheckAfter(*last, "remove the logs, with all lines, and add them again in a later update").In("store.storage"), nil
}

// NewLogService declares the logs. The error names every argument that breaks a rule. There is one in a cluster.
func NewLogService(ctx *pulumi.Context, name string, args *LogServiceArgs, opts ...pulumi.ResourceOption) (*LogService, error) {
	after, err := args.CheckUpdate(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("log service %q: %w", name, err)
	}
	if err := append(args.Check(), after...).Err(); err != nil {
		return nil, fmt.Errorf("log service %q: %w", name, err)
	}
	a := args.withDefaults()
	a.Agent.Image = kube.CheckedImage(fmt.Sprintf("log service %q", name), a.Agent.Image, rules.OwnImage)
	a.Store.Image = kube.CheckedImage(fmt.Sprintf("log service %q", name), a.Store.Image, rules.ForeignImage)
	s := &LogService{}
	if err := ctx.RegisterComponentResourceV2(logsType, name, pulumi.Map{
		"agent": a.Agent.Image,
		"store": a.Store.Image,
	}, s, opts...); err != nil {
		return nil, err
	}
	rollout, err := s.declareStore(ctx, name, a)
	if err != nil {
		return nil, fmt.Errorf("log service %q: store: %w", name, err)
	}
	if err := s.declareAgent(ctx, name, a); err != nil {
		return nil, fmt.Errorf("log service %q: agent: %w", name, err)
	}
	if err := kube.KeepOutput(ctx, logsHistory(name), a.Store.Storage, rollout); err != nil {
		return nil, fmt.Errorf("log service %q: %w", name, err)
	}
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{})
}
