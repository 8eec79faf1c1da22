//go:build e2e

package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestJournal is one test, since its parts get ever rougher: the last one stops the cluster.
func TestJournal(t *testing.T) {
	for _, part := range []struct {
		sentence string
		test     func(*testing.T)
	}{
		{"an entry is created, listed, edited and deleted through the Ingress", throughTheIngress},
		{"the page works in a browser", inABrowser},
		{"every object carries the labels", labels},
		{"pods run under the restricted Pod Security Standard", podSecurity},
		{"the passwords are in no argument, no variable and on no disk", password},
		{"pods that are no part of the journal cannot connect to Redis", otherPods},
		{"bad configuration is refused with all faults at once, and nothing is made", badConfiguration},
		{"up that was killed is finished by the next, which also brings back what somebody has deleted", killedUp},
		{"a second up changes nothing", secondUp},
		{"a replica that is out of sync is sent no reads", outOfSync},
		{"pods collect no dead processes", deadProcesses},
		{"acknowledged entries survive the death of every pod", everyPodDies},
		{"down leaves nothing behind, and up brings the entries back", downAndUp},
	} {
		if !t.Run(part.sentence, part.test) && t.Context().Err() != nil {
			return
		}
	}
}

func throughTheIngress(t *testing.T) {
	text := unique("Read about Redis replication.")
	created := write(t, text)
	if created.Text != text || created.ID == "" {
		t.Fatalf("created %+v", created)
	}
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	if all[created.ID].Text != text {
		t.Errorf("the list has %+v", all[created.ID])
	}
	var edited, read entry
	mustAsk(t, http.StatusOK, http.MethodPut, "api/entries/"+created.ID, map[string]string{"text": text + " And again."}, &edited)
	mustAsk(t, http.StatusOK, http.MethodGet, "api/entries/"+created.ID, nil, &read)
	if read.Text != text+" And again." || read.Version != 2 || edited != read {
		t.Errorf("edited to %+v and read %+v", edited, read)
	}
	mustAsk(t, http.StatusNoContent, http.MethodDelete, "api/entries/"+created.ID, nil, nil)
	mustAsk(t, http.StatusNotFound, http.MethodGet, "api/entries/"+created.ID, nil, nil)
	mustAsk(t, http.StatusOK, http.MethodGet, "", nil, nil) // the page is at the root of the same host
}

func labels(t *testing.T) {
	kinds := "deployments,replicasets,statefulsets,pods,services,configmaps,secrets,serviceaccounts,poddisruptionbudgets," +
		"networkpolicies,ingresses,persistentvolumeclaims"
	for _, o := range objects(t, kinds, "--namespace", world.outputs.Namespace) {
		if o.Metadata.Name == "default" || o.Metadata.Name == "kube-root-ca.crt" {
			continue // Kubernetes creates these in every namespace
		}
		if o.Metadata.Name == "default-deny" || o.Metadata.Name == "allow-dns" {
			continue // the namespace has these NetworkPolicies whatever runs in it
		}
		wanted := []string{"app", "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component",
			"app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"}
		if o.Kind == "PersistentVolumeClaim" {
			wanted = wanted[:1] // the StatefulSet makes them, and its template cannot change
		}
		for _, label := range wanted {
			if o.Metadata.Labels[label] == "" {
				t.Errorf("%s %s has no label %s", o.Kind, o.Metadata.Name, label)
			}
		}
	}
	for app, wanted := range map[string][]string{
		"frontend": {"deployment.apps/", "replicaset.apps/", "pod/", "service/frontend"},
		"api":      {"deployment.apps/", "replicaset.apps/", "pod/", "service/api"},
		"redis":    {"statefulset.apps/redis", "pod/redis-0", "service/redis", "service/redis-write", "service/redis-read"},
	} {
		t.Run(app, func(t *testing.T) {
			found := kubectl(t, "get", "all", "--namespace", world.outputs.Namespace, "--selector", "app="+app, "--output", "name")
			for _, name := range wanted {
				if !strings.Contains(found, name) {
					t.Errorf("kubectl get all -l app=%s does not list %s:\n%s", app, name, found)
				}
			}
		})
	}
}

func podSecurity(t *testing.T) {
	namespace := kubectl(t, "get", "namespace", world.outputs.Namespace, "--output", "jsonpath={.metadata.labels}")
	if !strings.Contains(namespace, `"pod-security.kubernetes.io/enforce":"restricted"`) {
		t.Errorf("the namespace's labels are %s", namespace)
	}
	restricted := `securityContext: {runAsNonRoot: true, runAsUser: 10001, allowPrivilegeEscalation: false,
		capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}`
	for _, pod := range []struct{ name, spec, answer string }{
		{"restricted", `containers: [{name: main, image: "journal.example.com/none:v1.0.0", ` + restricted + `}]`, "created"},
		{"without-context", `containers: [{name: main, image: "journal.example.com/none:v1.0.0"}]`, "created"}, // it is filled in
		{"root", `containers: [{name: main, image: "journal.example.com/none:v1.0.0", securityContext: {runAsUser: 0}}]`, `violates PodSecurity "restricted`},
		{"on-the-node", `hostNetwork: true, containers: [{name: main, image: "journal.example.com/none:v1.0.0", ` + restricted + `}]`,
			`violates PodSecurity "restricted`},
		// The cluster refuses this in every namespace.
		{"privileged", `containers: [{name: main, image: "journal.example.com/none:v1.0.0", securityContext: {privileged: true}}]`,
			"disallowed by cluster policy"},
	} {
		t.Run("a pod that is "+pod.name, func(t *testing.T) {
			manifest := fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: e2e-%s, namespace: %s}, spec: {%s}}`,
				pod.name, world.outputs.Namespace, pod.spec)
			answer, _ := tryKubectl(manifest, "create", "--dry-run=server", "--filename", "-")
			if !strings.Contains(answer, pod.answer) {
				t.Errorf("is answered: %s", answer)
			}
		})
	}
}

func password(t *testing.T) {
	if len(world.outputs.SecretNames) == 0 {
		t.Fatal("the stack names no Secret")
	}
	var secrets []string
	for _, user := range []string{"api", "replica", "probe"} {
		encoded := kubectl(t, "get", "secret", world.outputs.SecretNames[0], "--namespace", world.outputs.Namespace,
			"--output", "jsonpath={.data."+user+"}")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(secret) < 16 {
			t.Fatalf("the password of %s has %d bytes (%v)", user, len(secret), err)
		}
		secrets = append(secrets, string(secret))
	}
	in := func(text string) bool {
		return slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(text, secret) })
	}
	for _, pod := range pods(t, "") {
		if spec := string(pod.Spec); in(spec) || strings.Contains(spec, "secretKeyRef") || strings.Contains(spec, "secretRef") {
			t.Errorf("pod %s has the password in its specification, or takes a variable from a Secret", pod.Metadata.Name)
		}
	}
	users := 0
	for _, pid := range ourProcesses(t) {
		for _, file := range []string{"cmdline", "environ"} {
			if text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)); in(string(text)) {
				t.Errorf("the password is in /proc/%d/%s", pid, file)
			}
		}
		mounts, _ := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", pid))
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); fields[1] == "/run/secrets/redis" {
				users++
				if fields[2] != "tmpfs" || !slices.Contains(strings.Split(fields[3], ","), "ro") {
					t.Errorf("process %d has the password on %s", pid, line)
				}
			}
		}
	}
	if users == 0 {
		t.Error("no process has the password mounted: the test looks at the wrong place")
	}
	// The volumes must not hold it either, nor the files that the node keeps for pods.
	for _, folder := range []string{"local-storage", "lib/kubelet/pods"} {
		root := world.dir.Path("state", "node", "var", folder)
		_ = filepath.WalkDir(root, func(path string, item os.DirEntry, err error) error {
			if err != nil || !item.Type().IsRegular() {
				return nil // files come and go
			}
			if text, _ := os.ReadFile(path); in(string(text)) {
				t.Errorf("the password is in %s", path)
			}
			return nil
		})
	}
}

// deadProcesses looks for zombies. If every run of a probe leaves one, the machine's process table is full in days.
func deadProcesses(t *testing.T) {
	dead := map[string]int{}
	for _, pid := range ourProcesses(t) {
		if state, parent, err := processState(pid); err == nil && state == "Z" {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			of, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent))
			dead[fmt.Sprintf("%s of %s (process %d)", strings.TrimSpace(string(name)), strings.TrimSpace(string(of)), parent)]++
		}
	}
	for which, count := range dead {
		if count > 2 { // one may have ended just now
			t.Errorf("%d dead processes: %s", count, which)
		}
	}
}

func otherPods(t *testing.T) {
	image := kubectl(t, "get", "pod", "redis-0", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.spec.containers[0].image}")
	kubectlApply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: e2e-other}}`)
	for _, namespace := range []string{"e2e-other", world.outputs.Namespace} {
		kubectlApply(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: e2e-client, namespace: %s}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: %s
    command: [sleep, "600"]
    securityContext: {runAsNonRoot: true, runAsUser: 10001, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
`, namespace, image))
	}
	ping := func(namespace, pod, host string, port int) string {
		answer, _ := tryKubectl("", "exec", pod, "--namespace", namespace, "--", "timeout", "4", "redis-cli",
			"-h", fmt.Sprintf("%s.%s.svc", host, world.outputs.Namespace), "-p", fmt.Sprint(port), "ping")
		return strings.TrimSpace(answer)
	}
	for _, namespace := range []string{"e2e-other", world.outputs.Namespace} {
		kubectl(t, "wait", "--for=condition=Ready", "pod/e2e-client", "--namespace", namespace, "--timeout=3m")
		// The page's server does not speak Redis's protocol, but any answer shows that the other pod's network works.
		eventually(t, func() error {
			answer := ping(namespace, "e2e-client", "frontend", 80)
			// In the journal's own namespace, the NetworkPolicies allow such a pod only DNS.
			if namespace == world.outputs.Namespace && strings.Contains(answer, "Could not connect") && strings.Contains(answer, "refused") {
				return nil
			}
			if !strings.Contains(answer, "Protocol error") {
				return fmt.Errorf("a pod of %s asks the page's server and gets %q", namespace, answer)
			}
			return nil
		})
		for _, host := range []string{"redis-0.redis", "redis-write", "redis-read"} {
			answer := ping(namespace, "e2e-client", host, 6379)
			if silence := strings.Contains(answer, "exit code 124"); !silence && !strings.Contains(answer, "Could not connect") {
				t.Errorf("a pod of %s asks %s and gets %q", namespace, host, answer)
			}
		}
	}
	for _, host := range []string{"redis-write", "redis-read"} {
		if answer := ping(world.outputs.Namespace, "redis-1", host, 6379); !strings.Contains(answer, "NOAUTH") {
			t.Errorf("a replica asks %s without a password and gets %q", host, answer)
		}
	}
}

func badConfiguration(t *testing.T) {
	refusedUp(t, `
  journal:colour: blue
  journal:redis:
    image: docker.io/library/redis:7
    replicas: 4
    quorum: true
    storage: {size: 10 GB}
    resources: {memory: 64Mi}
    maxMemory: 1Gi
  journal:api: {image: "registry.example.com/journal/journal-api:latest", replicas: two}
  journal:frontend: {image: registry.example.com/journal/journal-web, replicas: 0}
  journal:exposure: {host: http://journal}
`, "colour", "api.replicas", "frontend.replicas", "redis.replicas", "redis.storage.size", "redis.resources.memoryLimit", "exposure.host",
		"api.image", "frontend.image", "redis.image")
}

// refusedUp checks that up refuses a configuration, with all of these keys in the error, before it changes anything.
func refusedUp(t *testing.T, configuration string, keys ...string) {
	t.Helper()
	repo := t.TempDir()
	project, err := os.ReadFile(filepath.Join(repository(t), "Pulumi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Pulumi.yaml": string(project), "Pulumi.e2e-bad.yaml": "config:" + configuration} {
		if err := os.WriteFile(filepath.Join(repo, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	everything := func() string {
		return kubectl(t, "get", "namespaces,pods,rolebindings,resourcequotas", "--all-namespaces", "--output", "name")
	}
	stacks := func() (files []string) { // of all stacks that were previewed on this machine
		files, _ = filepath.Glob(filepath.Join(world.cluster.State(), "*", "e2e-bad*"))
		return files
	}
	before, stacksBefore := everything(), stacks()
	_, log, err := sandbox("up", "--stack", "e2e-bad", "--repo", repo)
	if err == nil {
		t.Fatal("the stack is accepted")
	}
	t.Logf("%s", log)
	for _, key := range keys {
		if !strings.Contains(log, "journal:"+key) {
			t.Errorf("the error does not name %s", key)
		}
	}
	if after := everything(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if made := without(stacks(), stacksBefore); len(made) > 0 {
		t.Errorf("there is now %v", made)
	}
}

func killedUp(t *testing.T) {
	frontends := func() []object {
		return objects(t, "deployments", "--namespace", world.outputs.Namespace, "--selector", "app=frontend")
	}
	kubectl(t, "delete", "deployments", "--namespace", world.outputs.Namespace, "--selector", "app=frontend", "--now")
	up := exec.Command(world.program, append(slices.Clone(world.flags), "up", "--stack", stack)...)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	// The engine still waits for the pods of what it has just created, so the state cannot have it yet.
	eventually(t, func() error {
		if found := len(frontends()); found != 1 {
			return fmt.Errorf("there are %d Deployments", found)
		}
		return nil
	})
	for _, pid := range processesBelow(t, up.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := up.Wait(); err == nil {
		t.Fatal("up had finished before it was killed")
	}
	_, log := mustSandbox(t, "up", "--stack", stack)
	if !strings.Contains(log, "an earlier run was killed") {
		t.Errorf("up says:\n%s", log)
	}
	if found := frontends(); len(found) != 1 {
		t.Errorf("there are %d Deployments of the page: %+v", len(found), found)
	}
	mustAsk(t, http.StatusOK, http.MethodGet, "", nil, nil)
}

func secondUp(t *testing.T) {
	start := time.Now()
	url, log := mustSandbox(t, "up", "--stack", stack)
	if !strings.Contains(log, "nothing changed") {
		t.Errorf("up says:\n%s", log)
	}
	if strings.TrimSpace(url) != world.outputs.URL {
		t.Errorf("up prints %q, not the URL", url)
	}
	t.Logf("up of what is up: %s", time.Since(start).Round(100*time.Millisecond))
	if plan, _ := mustSandbox(t, "preview", "--stack", stack); !strings.Contains(plan, "nothing would change") {
		t.Errorf("preview says:\n%s", plan)
	}
}

func outOfSync(t *testing.T) {
	replicas := pods(t, "redis")
	last := replicas[len(replicas)-1]
	if len(replicas) < 2 {
		t.Fatalf("there are %d Redis pods", len(replicas))
	}
	// No user of Redis may tell it to leave the primary. So the test blocks the route to the primary's address.
	primary := kubectl(t, "get", "service", "redis-write", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.spec.clusterIP}")
	needsNode(t, "changes the routes of a pod")
	route := func(what string) {
		t.Helper()
		command := exec.Command("nsenter", "--net=/proc/"+strconv.Itoa(processOf(t, last, "redis-server"))+"/ns/net", "ip", "route", what, "blackhole", primary)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("ip route %s: %v: %s", what, err, out)
		}
	}
	serves := func() bool {
		for _, slice := range objects(t, "endpointslices", "--namespace", world.outputs.Namespace, "--selector", "kubernetes.io/service-name=redis-read") {
			for _, endpoint := range slice.Endpoints {
				if slices.Contains(endpoint.Addresses, last.Status.PodIP) && endpoint.Conditions.Ready {
					return true
				}
			}
		}
		return false
	}
	if !serves() {
		t.Fatal("the replica is no endpoint to begin with")
	}
	t.Cleanup(func() {
		route("delete")
		start := time.Now()
		eventually(t, func() error {
			if !serves() {
				return errors.New("the replica in sync is no endpoint")
			}
			return nil
		})
		t.Logf("back %s after it was in sync again", time.Since(start).Round(time.Second))
	})
	route("add")
	start := time.Now()
	eventuallyWithin(t, 90*time.Second, func() error {
		if serves() {
			return errors.New("the replica out of sync is an endpoint")
		}
		return nil
	})
	t.Logf("out of the read Service after %s", time.Since(start).Round(time.Second))
	// The journal works without the replica.
	all := write(t, unique("Written while a replica was away."))
	mustAsk(t, http.StatusOK, http.MethodGet, "api/entries/"+all.ID, nil, nil)
}

// redis sends a command to one Redis as its own scripts do, as the user api with the password from its file.
func redis(t *testing.T, pod, command string) string {
	t.Helper()
	return kubectl(t, "exec", pod, "--namespace", world.outputs.Namespace, "--", "sh", "-c",
		`. /etc/redis/lib.sh; ask api "$1"`, "sh", command)
}
