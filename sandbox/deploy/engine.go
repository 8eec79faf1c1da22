package deploy

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"example.com/journal/sandbox/cache"
)

// interruptTime is what the engine may take, after an interrupt, to end its steps and write its state.
const interruptTime = time.Minute

// engine runs the Pulumi program that the toolchain built. The Automation API's own command would hand over this
// process's environment, and with it access tokens, another backend's address or a proxy.
type engine struct {
	program     string
	environment []string
}

var _ auto.PulumiCommand = engine{}

func newEngine(dir cache.Dir, work workFolder, kubeconfig string) engine {
	environment := []string{
		"PATH=" + dir.Bin() + string(os.PathListSeparator) + os.Getenv("PATH"), // the plugins are found there
		"KUBECONFIG=" + kubeconfig,
		"KUBECACHEDIR=" + filepath.Join(work.home(), "kube"), // kubectl's own would be below the user's home
		"PULUMI_HOME=" + work.home(),
		// Of the Helm in Pulumi's Kubernetes plugin.
		"HELM_CACHE_HOME=" + filepath.Join(work.home(), "helm", "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(work.home(), "helm", "config"),
		"HELM_DATA_HOME=" + filepath.Join(work.home(), "helm", "data"),
		"PULUMI_BACKEND_URL=file://" + work.backend(),
		"PULUMI_CONFIG_PASSPHRASE_FILE=" + work.passphrase(),
		"PULUMI_AUTOMATION_API=true",
		"PULUMI_SKIP_UPDATE_CHECK=1",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true",
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS=true",
	}
	for _, name := range []string{"HOME", "TMPDIR", "TZ"} {
		if value, set := os.LookupEnv(name); set {
			environment = append(environment, name+"="+value)
		}
	}
	return engine{program: filepath.Join(dir.Bin(), "pulumi"), environment: environment}
}

// Version is the engine's version: the toolchain pins it to the SDK's.
func (e engine) Version() semver.Version { return sdk.Version }

// Run runs one command. When ctx ends, the engine is interrupted as a person would do it, and has time to write its state.
func (e engine) Run(ctx context.Context, dir string, stdin io.Reader, stdouts, stderrs []io.Writer, environment []string,
	args ...string,
) (stdout, stderr string, code int, err error) {
	cmd := exec.CommandContext(ctx, e.program, append([]string{"--non-interactive"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(append([]string{}, e.environment...), environment...)
	cmd.Stdin = stdin
	// Files and no pipes: an engine whose caller is killed would be killed by its next line into a broken pipe, and leave
	// its work half done and its lock behind.
	out, err := newSpool()
	if err != nil {
		return "", "", -1, err
	}
	complaints, err := newSpool()
	if err != nil {
		return "", "", -1, errors.Join(err, out.Close())
	}
	cmd.Stdout, cmd.Stderr = out.File, complaints.File
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,           // Ctrl-C reaches this process alone, which passes it on once
		Pdeathsig: syscall.SIGINT, // the program that the engine runs is in this process: without it there is nothing to do
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = interruptTime
	err = cmd.Run()
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	stdout, stderr = out.drain(stdouts), complaints.drain(stderrs)
	return stdout, stderr, code, err
}

// spool is a file without a name that holds what a command prints.
type spool struct{ *os.File }

func newSpool() (spool, error) {
	file, err := os.CreateTemp("", "journal-engine-")
	if err != nil {
		return spool{}, err
	}
	return spool{file}, os.Remove(file.Name())
}

// drain returns the content, writes it to the writers too, and closes the file.
func (s spool) drain(writers []io.Writer) string {
	defer func() { _ = s.Close() }()
	text, err := io.ReadAll(io.NewSectionReader(s, 0, math.MaxInt64))
	if err != nil {
		return ""
	}
	_, _ = io.MultiWriter(writers...).Write(text)
	return string(text)
}

// plain is the message that the engine printed for a person, without the Automation API's transcript around it.
func plain(err error) error {
	if _, text, found := strings.Cut(err.Error(), "\nstderr: "); found {
		if text = strings.TrimSpace(text); text != "" {
			return errors.New(strings.TrimPrefix(text, "error: "))
		}
	}
	return err
}
