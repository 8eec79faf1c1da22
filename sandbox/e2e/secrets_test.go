//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// redisSecret is a Secret with the passwords of the users of Redis, of one number.
type redisSecret struct {
	Metadata struct{ Name string }
	Data     map[string][]byte
}

// redisSecrets returns the Secrets of all numbers that the stack lists.
func redisSecrets(t *testing.T) []redisSecret {
	t.Helper()
	var list struct{ Items []redisSecret }
	if err := json.Unmarshal([]byte(kubectl(t, "get", "secrets", "--namespace", world.outputs.Namespace, "--selector", "app=redis", "--output", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// noSecretInPlainText looks for the real values of passwords, and their encoding in base64, wherever something of them could have been
// written down. What processes and volumes hold is looked at by the journal's own tests.
func noSecretInPlainText(t *testing.T, secrets []redisSecret) {
	t.Helper()
	current := secretName(t)
	_, progress := mustSandbox(t, "up", "--stack", stack)
	outputs, _ := mustSandbox(t, "status", "--stack", stack)
	places := map[string]string{
		"what up prints":       progress,
		"outputs of the stack": outputs,
		"state of the stack":   everything(t, world.cluster.State()),
		"etcd":                 everything(t, world.dir.Path("state", "node", "var", "lib", "etcd")),
		"logs of all pods":     everything(t, world.dir.Path("state", "node", "var", "log")),
		"logs of the node":     everything(t, world.dir.Path("logs")),
		"objects and events":   kubectl(t, "get", strings.Join(kinds(t), ","), "--all-namespaces", "--show-managed-fields", "--output", "json"),
		"what describe tells":  kubectl(t, "describe", "pods,secrets,statefulsets,deployments", "--namespace", world.outputs.Namespace),
		"logs of the journal":  "",
	}
	for _, pod := range pods(t, "") {
		places["logs of the journal"] += kubectl(t, "logs", pod.Metadata.Name, "--namespace", world.outputs.Namespace, "--all-containers")
	}
	// Text that must be found in each place, so that an empty place does not pass for a clean one.
	control := map[string]string{
		"what up prints": "stack", "outputs of the stack": "redisWriteAddress", "state of the stack": current,
		"etcd": current, "logs of all pods": "journal", "logs of the node": "journal", "objects and events": `"Event"`,
		"what describe tells": current, "logs of the journal": `"msg"`,
	}
	for place, text := range places {
		t.Logf("looking for the passwords of %d numbers in %d bytes: %s", len(secrets), len(text), place)
		if !strings.Contains(text, control[place]) {
			t.Errorf("%s: there is no %q in %d bytes: the test looks at the wrong place", place, control[place], len(text))
		}
		for _, secret := range secrets {
			if len(secret.Data) != 3 {
				t.Fatalf("%s has the passwords of %d users, not of the API, replicas and probes", secret.Metadata.Name, len(secret.Data))
			}
			for user, password := range secret.Data {
				if len(password) < 16 {
					t.Fatalf("the password of %s in %s has %d bytes", user, secret.Metadata.Name, len(password))
				}
				if strings.Contains(text, string(password)) || strings.Contains(text, base64.StdEncoding.EncodeToString(password)) {
					t.Errorf("%s: the password of %s in %s is there", place, user, secret.Metadata.Name)
				}
			}
		}
	}
}

// everything returns the content of all files below a folder.
func everything(t *testing.T, root string) string {
	t.Helper()
	var all bytes.Buffer
	_ = filepath.WalkDir(root, func(path string, item os.DirEntry, err error) error {
		if err != nil || !item.Type().IsRegular() {
			return nil // files come and go
		}
		content, _ := os.ReadFile(path)
		all.Write(content)
		return nil
	})
	return all.String()
}

// kinds returns all kinds of objects that can be listed, except Secrets.
func kinds(t *testing.T) []string {
	t.Helper()
	var kinds []string
	for kind := range strings.FieldsSeq(kubectl(t, "api-resources", "--verbs=list", "--output", "name")) {
		if kind != "secrets" {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
