package stacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Config is everything that a stack decides. Each field is one key of Pulumi.yaml, which says what it means; what a
// stack leaves out has the component's default.
type Config struct {
	// Namespace is the journal's namespace.
	Namespace string
	// Journal are the parameters of the journal.
	Journal journal.Args
	// Cluster are the parameters of what all namespaces of the cluster share.
	Cluster Cluster
	// Ingress are the parameters of an Ingress controller of the stack's own.
	Ingress Ingress
}

// key binds one key of the configuration to the field it sets.
type key struct {
	name string
	set  func(text string) kube.Faults // reads the value's text; a fault's field is empty or lies within the value
}

// keys are all keys that a stack may set.
func (c *Config) keys() []key {
	j := &c.Journal
	keys := []key{
		text("namespace", &c.Namespace),
		text("ingressNamespace", &j.IngressNamespace),
		text("redisImage", &j.Redis.Image),
		count("redisReplicas", &j.Redis.Replicas),
		boolean("redisQuorum", &j.Redis.Quorum),
		text("redisMaxMemory", &j.Redis.MaxMemory),
		text("redisStorageSize", &j.Redis.StorageSize),
		text("redisStorageClass", &j.Redis.StorageClass),
		text("apiImage", &j.API.Image),
		count("apiReplicas", &j.API.Replicas),
		text("apiLogLevel", &j.API.LogLevel),
		text("frontendImage", &j.Frontend.Image),
		count("frontendReplicas", &j.Frontend.Replicas),
		count("redisPasswordVersion", &j.Redis.PasswordVersion),
		text("pageTitle", &j.Frontend.Title),
		count("pageSize", &j.Frontend.PageSize),
		boolean("readOnly", &j.ReadOnly),
		count("rolloutTimeout", &j.RolloutTimeout),
		count("configVersions", &j.Versions),
		text("exposureHost", &j.Exposure.Host),
		text("exposureClass", &j.Exposure.Class),
		integer("exposurePort", &j.Exposure.Port),
		text("exposureTlsSecret", &j.Exposure.TLSSecret),
		text("exposureKind", &j.Exposure.Kind),
		text("exposureTlsIssuer", &j.Exposure.TLSIssuer),
		integer("exposureTlsSelfSigned", &j.Exposure.TLSSelfSigned),
	}
	keys = append(keys, c.Cluster.keys()...)
	keys = append(keys, c.Ingress.keys()...)
	keys = append(keys, resources("redis", &j.Redis.Resources)...)
	keys = append(keys, resources("api", &j.API.Resources)...)
	return append(keys, resources("frontend", &j.Frontend.Resources)...)
}

// resources binds the four keys of one part's resources.
func resources(part string, r *kube.Resources) []key {
	return []key{
		text(part+"Cpu", &r.CPU),
		text(part+"CpuLimit", &r.CPULimit),
		text(part+"Memory", &r.Memory),
		text(part+"MemoryLimit", &r.MemoryLimit),
	}
}

// text binds a key whose value is taken as it is; the components check it.
func text(name string, field *string) key {
	return scalar(name, func(text string) error {
		*field = text
		return nil
	})
}

// scalar binds a key to what reads its value; the error is the rule that the value breaks and the fix.
func scalar(name string, set func(text string) error) key {
	return key{name, func(text string) (f kube.Faults) {
		f.Check("", text, set(text))
		return f
	}}
}

// integer binds a key whose value is a whole number.
func integer(name string, field *int) key {
	return scalar(name, func(text string) error { return setInteger(text, field) })
}

func setInteger(text string, field *int) error {
	number, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("not a whole number; write digits without quotes, such as 3")
	}
	*field = number
	return nil
}

// count binds a key whose value is a whole number above zero. A component takes zero as its default, so a zero that
// somebody wrote is refused here.
func count(name string, field *int) key {
	return scalar(name, func(text string) error {
		if err := setInteger(text, field); err != nil {
			return err
		}
		if *field < 1 {
			return errors.New("it must be 1 or more; write for example 3, or leave the key out for the default")
		}
		return nil
	})
}

// boolean binds a key whose value is true or false.
func boolean(name string, field *bool) key {
	return scalar(name, func(text string) error {
		switch text {
		case "true", "false":
			*field = text == "true"
			return nil
		}
		return errors.New("not a boolean; write true or false without quotes")
	})
}

// Load reads the configuration of the stack that runs. The error holds every fault at once, each with its key, value,
// rule and fix.
func Load(ctx *pulumi.Context) (Config, error) {
	values := map[string]string{}
	// Pulumi hands a program the keys it asks for and no list of them, so unknown keys are found in the stack's file.
	// A program that runs inline in another one has no folder; that one calls Check. Others have one: see FindRoot.
	if root := ctx.RootDirectory(); root != "" {
		var err error
		if _, values, err = readStackFile(root, ctx.Stack()); err != nil {
			return Config{}, err
		}
	}
	var c Config
	for _, key := range c.keys() {
		if value, set := ctx.GetConfig(ctx.Project() + ":" + key.name); set {
			values[key.name] = value
		}
	}
	return parse(ctx.Project(), values)
}

// FindRoot is an option of pulumi.Run. An older Pulumi does not say where the project is, but starts its program there: the
// working directory becomes the root folder when it holds this project.
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

// Check reads the configuration of a stack from Pulumi.yaml and Pulumi.<stack>.yaml in dir, without an engine, and
// reports what Load would. It lets a program refuse a stack before anything starts.
func Check(dir, stack string) error {
	_, err := Read(dir, stack)
	return err
}

// Read returns what Check checks, for a program that goes by what a stack decides.
func Read(dir, stack string) (Config, error) {
	project, values, err := readStackFile(dir, stack)
	if err != nil {
		return Config{}, err
	}
	return parse(project, values)
}

// readStackFile returns the project's name and its own keys as the engine would hand them over: those in the file of a
// stack, and the defaults of Pulumi.yaml. The value of a secret stays hidden.
func readStackFile(dir, stack string) (name string, values map[string]string, err error) {
	project, err := workspace.LoadProject(filepath.Join(dir, "Pulumi.yaml"))
	if err != nil {
		return "", nil, err
	}
	name = string(project.Name)
	path := filepath.Join(dir, project.StackConfigDir, "Pulumi."+stack+".yaml")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("stack %q has no configuration: %s is missing; write it, or choose a stack that has one", stack, filepath.Base(path))
	}
	sink := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	file, err := workspace.LoadProjectStack(sink, project, path)
	if err != nil {
		return "", nil, err
	}
	values = map[string]string{}
	for key, declaration := range project.Config {
		if values[key], err = configText(declaration.Default); err != nil {
			return "", nil, fmt.Errorf("default of %s: %w", key, err)
		}
	}
	for k, v := range file.Config {
		if k.Namespace() != name {
			continue // another provider's or program's
		}
		if values[k.Name()], err = v.Value(config.NewBlindingDecrypter()); err != nil {
			return "", nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return name, values, nil
}

// configText is a default as the engine hands it to a program: scalars as they are, everything else as JSON.
func configText(value any) (string, error) {
	switch value.(type) {
	case nil:
		return "", nil
	case map[string]any, []any:
		text, err := json.Marshal(value)
		return string(text), err
	}
	return fmt.Sprint(value), nil
}

// parse sets the configuration from the texts of its values, and reports every fault: unknown keys, wrong types, and
// what the components refuse.
func parse(project string, values map[string]string) (Config, error) {
	var c Config
	var faults kube.Faults
	known, refused := map[string]bool{}, map[string]bool{}
	for _, key := range c.keys() {
		known[key.name] = true
		// An empty text is the same as no value: the component's default.
		if value := values[key.name]; value != "" {
			for _, fault := range key.set(value) {
				fault.Field = key.name + fault.Field
				faults = append(faults, fault)
				refused[key.name] = true
			}
		}
	}

	unknown := []string{}
	for name := range values {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		faults.Refuse(name, values[name], "unknown key; remove it, or write the one that is meant: Pulumi.yaml lists them all")
	}

	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	faults.Check("namespace", c.Namespace, kube.CheckName(c.Namespace))
	c.Ingress.complete(&c.Journal)
	faults = append(faults, c.Cluster.complete(c)...)
	for _, fault := range slices.Concat(c.Journal.Check(), c.Cluster.check(c), c.Ingress.check(c)) {
		key, _, _ := strings.Cut(strings.ReplaceAll(fault.Field, "[", "."), ".")
		if !refused[key] { // a value of the wrong type is reported as that alone
			faults = append(faults, fault)
		}
	}
	for _, fault := range faults {
		fault.Field = project + ":" + fault.Field
	}
	return c, faults.Err()
}
