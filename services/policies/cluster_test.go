//go:build e2e

package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/kubetest"
)

// stackFile holds the objects of the stack dev, which a test of the stack writes.
const stackFile = "stacks/testdata/dev.yaml"

// repository is the checkout. Go's test cache notices a change of a file whose name begins with the module's folder, as here,
// and not of one that ../.. names.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

// cluster is what all tests share: the program with kubectl in it, and an administrator's kubeconfig.
var cluster struct{ program, kubeconfig string }

func TestMain(m *testing.M) {
	code, err := withCluster(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withCluster runs something with an API server that has the stack's policies and the namespaces of its tenants. The namespace
// early is a tenant's that had a service account and a Deployment before the policies.
func withCluster(run func() int) (code int, err error) {
	// Without its admission plugin, no pod would have a token.
	environment, err := kubetest.Start(func(e *envtest.Environment) {
		e.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	folder, err := os.MkdirTemp("", "policies-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	user, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return 1, err
	}
	text, err := user.KubeConfig()
	if err != nil {
		return 1, err
	}
	cluster.kubeconfig = filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(cluster.kubeconfig, text, 0o600); err != nil {
		return 1, err
	}
	if cluster.program, err = kubetest.Program(); err != nil {
		return 1, err
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return 1, err
	}
	controllers := exec.Command(cluster.program, "kube-controller-manager", "--kubeconfig="+cluster.kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--use-service-account-credentials=false", "--controllers=deployment-controller,replicaset-controller,job-controller,cronjob-controller,serviceaccount-controller,resourcequota-controller")
	controllers.Stdout, controllers.Stderr = log, log
	controllers.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := controllers.Start(); err != nil {
		return 1, err
	}
	defer func() { _ = controllers.Process.Kill(); _ = controllers.Wait() }()
	if err := declare(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return 1, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-4000):])
	}
	return run(), nil
}

// declare creates what the stack declares, in the order in which the engine does: the policies before the namespaces.
func declare() error {
	early := `
apiVersion: v1
kind: Namespace
metadata: {name: early, labels: {journal.example.com/tenant: early, pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}}
---
` + deployment("early", "old", "", "")
	if _, err := kubectl(early, "create", "--filename", "-"); err != nil {
		return err
	}
	if err := until(func() error {
		_, err := kubectl("", "get", "serviceaccount", "default", "--namespace", "early")
		return err
	}); err != nil {
		return err
	}
	if err := until(func() error {
		text, err := kubectl("", "get", "replicasets", "--namespace", "early", "--output", "name")
		if err == nil && text == "" {
			err = errors.New("there is no ReplicaSet")
		}
		return err
	}); err != nil {
		return err
	}
	for _, kinds := range [][]string{
		{"PriorityClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"},
		{"Namespace"}, {"LimitRange"}, {"ServiceAccount"},
	} {
		text, err := stackObjects(kinds...)
		if err != nil {
			return err
		}
		if _, err := kubectl(text, "apply", "--server-side", "--filename", "-"); err != nil { // as the engine does
			return err
		}
	}
	// The API server reads new policies within a second.
	return until(func() error {
		got, err := kubectl(pod("team-a", "probe", "", ""), "create", "--dry-run=server", "--output", "json", "--filename", "-")
		if err == nil && !strings.Contains(got, "RuntimeDefault") {
			err = errors.New("the policies have no effect")
		}
		return err
	})
}

// stackObjects returns the objects of some kinds that the stack dev declares, as one text.
func stackObjects(kinds ...string) (string, error) {
	text, err := fs.ReadFile(repository, stackFile)
	if err != nil {
		return "", err
	}
	var found []string
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return "", err
		}
		// The rules that bind the controller of claims are tested with it.
		if slices.Contains(kinds, object.GetKind()) && !strings.HasPrefix(object.GetName(), "journal-controller-") && !strings.HasPrefix(object.GetName(), "journal-claim") {
			found = append(found, document)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%s: there is no %s", stackFile, strings.Join(kinds, " or "))
	}
	return strings.Join(found, "\n---\n"), nil
}

// kubectl runs kubectl as an administrator. It returns what it prints, and its warnings and errors in the error.
func kubectl(stdin string, args ...string) (string, error) {
	text, warnings, err := kubectlWarns(stdin, args...)
	if err != nil {
		return text, fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, warnings)
	}
	return text, nil
}

// kubectlWarns also returns what kubectl says beside its output.
func kubectlWarns(stdin string, args ...string) (text, warnings string, err error) {
	cmd := exec.Command(cluster.program, append([]string{"kubectl", "--kubeconfig", cluster.kubeconfig}, args...)...)
	var out, says bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &says
	err = cmd.Run()
	return strings.TrimSpace(out.String()), strings.TrimSpace(says.String()), err
}

func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	text, err := kubectl(stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// until tries something until it succeeds.
func until(so func() error) (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = so(); err == nil {
			return nil
		}
	}
	return err
}

func eventually(t *testing.T, so func() error) {
	t.Helper()
	if err := until(so); err != nil {
		t.Fatal(err)
	}
}

// object is the part of an object that the tests read.
type object struct {
	Metadata struct {
		Name, ResourceVersion string
		Generation            int
	}
	Spec struct {
		Template    struct{ Spec podSpec }
		JobTemplate struct {
			Spec struct{ Template struct{ Spec podSpec } }
		}
		podSpec
	}
}

type podSpec struct {
	SecurityContext                                 map[string]any
	Containers, InitContainers, EphemeralContainers []container
	Volumes                                         []struct{ Name string }
}

type container struct {
	Name            string
	SecurityContext map[string]any
}

// pod returns the specification of the object's pods.
func (o object) pod(kind string) podSpec {
	switch kind {
	case "Pod":
		return o.Spec.podSpec
	case "CronJob":
		return o.Spec.JobTemplate.Spec.Template.Spec
	}
	return o.Spec.Template.Spec
}

func decode(t *testing.T, text string) (o object) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return o
}

const image = "registry.example.com/app:1.2.3"

// spec is the specification of a pod with further fields of its container and of the pod.
func spec(container, pod string) string {
	return strings.TrimSuffix("{"+pod, ", ") + comma(pod) + "containers: [{name: main, image: " + image + comma(container) + container + "}]}"
}

func comma(fields string) string {
	if fields == "" {
		return ""
	}
	return ", "
}

func pod(namespace, name, container, fields string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", name, namespace, spec(container, fields))
}

func deployment(namespace, name, container, fields string) string {
	return workload("Deployment", namespace, name, spec(container, fields))
}

// workload returns an object that makes pods of this specification.
func workload(kind, namespace, name, spec string) string {
	version, template := "apps/v1", "template: {metadata: {labels: {app: "+name+"}}, spec: "+spec+"}"
	fields := "replicas: 1, selector: {matchLabels: {app: " + name + "}}, " + template
	switch kind {
	case "StatefulSet":
		fields += ", serviceName: " + name
	case "DaemonSet":
		fields = strings.TrimPrefix(fields, "replicas: 1, ")
	case "Job":
		version, fields = "batch/v1", "suspend: true, "+strings.Replace(template, "spec: {", "spec: {restartPolicy: Never, ", 1)
	case "CronJob":
		version, fields = "batch/v1", `schedule: "0 0 1 1 *", jobTemplate: {spec: {`+strings.Replace(template, "spec: {", "spec: {restartPolicy: Never, ", 1)+"}}"
	case "ReplicationController":
		version, fields = "v1", "replicas: 1, "+template
	}
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: {%s}\n", version, kind, name, namespace, fields)
}
