package claims

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// Share is what all claims of one tenant may use together. Fields that are left out come from the tenant's own class, so that
// its claims together are never larger than the tenant.
type Share struct {
	// Claims is the maximum number of claims at a time.
	Claims int `json:"claims,omitempty" default:"4" minimum:"1"`
	// CPU is the total of the CPU quotas of their namespaces.
	CPU string `json:"cpu,omitempty" format:"quantity"`
	// Memory is the total of their memory quotas.
	Memory string `json:"memory,omitempty" format:"quantity"`
	// Storage is the total of their storage quotas.
	Storage string `json:"storage,omitempty" format:"quantity"`
	// Pods is the total of their quotas of pods.
	Pods int `json:"pods,omitempty" minimum:"1"`
	// Services is the total of their quotas of Services.
	Services int `json:"services,omitempty" minimum:"1"`
	// VolumeClaims is the total of their quotas of PersistentVolumeClaims. It may be 0.
	VolumeClaims *int `json:"volumeClaims,omitempty" minimum:"0"`
	// Classes are those that may be claimed. By default every class that exceeds the tenant's own in no field.
	Classes []string `json:"classes,omitempty"`
}

// limits are the settings that the controller reads for every decision about a claim.
type limits struct {
	MaxTTL         string           `json:"maxTTL"`
	DefaultTTL     string           `json:"defaultTTL"`
	WarnBefore     string           `json:"warnBefore"`
	ClaimsPerOwner int              `json:"claimsPerOwner"`
	Share          map[string]Share `json:"share,omitempty"`
	DefaultShare   Share            `json:"defaultShare"`
	DryRun         bool             `json:"dryRun"`
}

// limits returns the limits with the complete share of every tenant. A namespace that somebody labelled by hand belongs to no
// tenant of the stack and has the share of the default class.
func (args *Args) limits() limits {
	l := limits{
		MaxTTL: args.MaxTTL, DefaultTTL: args.DefaultTTL, WarnBefore: args.WarnBefore, ClaimsPerOwner: args.ClaimsPerOwner,
		Share: map[string]Share{}, DefaultShare: args.DefaultShare.withDefaults(shareOf(args.Classes[tenancy.DefaultClass], args.Classes)), DryRun: args.DryRun,
	}
	for i := range args.Tenants {
		l.Share[args.Tenants[i].Name] = args.shareOf(&args.Tenants[i])
	}
	return l
}

// shareOf returns the complete share of a tenant.
func (args *Args) shareOf(tenant *tenancy.TenantArgs) Share {
	t := tenant.WithDefaults("")
	own, known := args.Classes[t.Class]
	if !known {
		own = args.Classes[tenancy.DefaultClass] // the tenant's own check reports it
	}
	return args.Share[t.Name].withDefaults(args.DefaultShare).withDefaults(shareOf(own.With(t.Overrides), args.Classes))
}

// shareOf returns the default share of a tenant of this size: as much as the tenant itself has, in classes that are not larger.
func shareOf(own tenancy.Class, classes tenancy.Classes) Share {
	share := Share{
		CPU: own.CPU, Memory: own.Memory, Storage: own.Storage,
		Pods: own.Pods, Services: own.Services, VolumeClaims: own.VolumeClaims,
	}
	for _, name := range classes.Names() {
		if class := classes[name]; fits(class, own) {
			share.Classes = append(share.Classes, name)
		}
	}
	return share
}

// withDefaults returns the share with fields that are left out taken from the defaults.
func (s Share) withDefaults(defaults Share) Share {
	if len(s.Classes) == 0 {
		s.Classes = defaults.Classes
	}
	return Share{
		Claims:       cmp.Or(s.Claims, defaults.Claims),
		CPU:          cmp.Or(s.CPU, defaults.CPU),
		Memory:       cmp.Or(s.Memory, defaults.Memory),
		Storage:      cmp.Or(s.Storage, defaults.Storage),
		Pods:         cmp.Or(s.Pods, defaults.Pods),
		Services:     cmp.Or(s.Services, defaults.Services),
		VolumeClaims: cmp.Or(s.VolumeClaims, defaults.VolumeClaims),
		Classes:      s.Classes,
	}
}

// check returns every rule that the share breaks. The complete share has the fields that are left out from its defaults.
func (s Share) check(complete Share, classes tenancy.Classes) rules.Faults {
	var f rules.Faults
	for _, quantity := range []struct {
		field, value string
		check        func(string) error
	}{{"cpu", s.CPU, rules.CheckCPU}, {"memory", s.Memory, rules.CheckBytes}, {"storage", s.Storage, rules.CheckBytes}} {
		if quantity.value != "" {
			f.Check(quantity.field, quantity.value, quantity.check(quantity.value))
		}
	}
	for i, name := range s.Classes {
		path := fmt.Sprintf("classes[%d]", i)
		class, known := classes[name]
		if !known {
			f.Refuse(path, name, "must be one of %s", strings.Join(classes.Names(), ", "))
			continue
		}
		for _, quota := range []struct{ field, share, class string }{
			{"cpu", complete.CPU, class.CPU}, {"memory", complete.Memory, class.Memory}, {"storage", complete.Storage, class.Storage},
		} {
			if quota.share != "" && rules.CompareQuantities(quota.class, quota.share) > 0 {
				f.Refuse(path, name, "its %s of %s is above the share's of %s, so that nobody could claim it; raise %s of the share, or remove the class",
					quota.field, quota.class, quota.share, quota.field)
			}
		}
		for _, count := range []struct {
			field        string
			share, class *int
		}{
			{"pods", written(complete.Pods), &class.Pods}, {"services", written(complete.Services), &class.Services},
			{"volumeClaims", complete.VolumeClaims, class.VolumeClaims},
		} {
			if count.share != nil && count.class != nil && *count.class > *count.share {
				f.Refuse(path, name, "its %d %s are above the share's %d, so that nobody could claim it; raise %s of the share, or remove the class",
					*count.class, count.field, *count.share, count.field)
			}
		}
	}
	return f
}

// written returns a count, or nil for 0, which no share has.
func written(count int) *int {
	if count == 0 {
		return nil
	}
	return &count
}

// checkLimits returns every rule that the durations and the shares break.
func (args *Args) checkLimits() rules.Faults {
	var f rules.Faults
	duration := func(field, text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			f.Refuse(field, text, "not a duration above zero; write hours, minutes and seconds, such as 8h or 1h30m")
			return 0
		}
		return d
	}
	longest, standard, warn := duration("maxTTL", args.MaxTTL), duration("defaultTTL", args.DefaultTTL), duration("warnBefore", args.WarnBefore)
	if longest > 0 && standard > longest {
		f.Refuse("defaultTTL", args.DefaultTTL, "above maxTTL of %s; lower it or raise maxTTL", args.MaxTTL)
	}
	if standard > 0 && warn >= standard {
		f.Refuse("warnBefore", args.WarnBefore, "not below defaultTTL of %s, so a namespace would be about to end from the start; lower it, or raise defaultTTL", args.DefaultTTL)
	}
	f = append(f, args.DefaultShare.check(args.DefaultShare, args.Classes).In("defaultShare")...)
	for _, tenant := range slices.Sorted(maps.Keys(args.Share)) {
		path := "share." + tenant
		i := slices.IndexFunc(args.Tenants, func(t tenancy.TenantArgs) bool { return t.Name == tenant })
		if len(args.Tenants) > 0 && i < 0 {
			f.Refuse(path, tenant, "no tenant of this stack; write the name of one, or remove the share")
		}
		share := args.Share[tenant].withDefaults(args.DefaultShare)
		if i >= 0 {
			share = args.shareOf(&args.Tenants[i])
		}
		tagged := share.withDefaults(shareOf(tenancy.Small(), args.Classes))
		f = append(f, rules.CheckTags(&tagged).In(path)...)
		f = append(f, args.Share[tenant].check(share, args.Classes).In(path)...)
	}
	return f
}

// fits says whether a class is no larger than another one in any field. Load balancers do not count: a claimed namespace has
// none.
func fits(c, other tenancy.Class) bool {
	for _, pair := range [][2]string{{c.CPU, other.CPU}, {c.Memory, other.Memory}, {c.Storage, other.Storage}, {c.Scratch, other.Scratch}} {
		if rules.CompareQuantities(pair[0], pair[1]) > 0 {
			return false
		}
	}
	for device, count := range c.Devices {
		if count > other.Devices[device] {
			return false
		}
	}
	// The share counts requests, so a class of more burst would take more limits for the same share.
	return c.Burst <= other.Burst && c.Pods <= other.Pods && c.Services <= other.Services && *c.VolumeClaims <= *other.VolumeClaims && *c.ResourceClaims <= *other.ResourceClaims
}

// claimed returns a class as a claimed namespace has it: without node ports and load balancers.
func claimed(c tenancy.Class) tenancy.Class {
	c.LoadBalancers = new(0)
	return c
}
