package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

func TestEveryRoleHasThreeCommandsThatWorkAsPrinted(t *testing.T) {
	t.Parallel()
	const image = "registry.example.com/journal-web:v0.1.0-0a1b2c3"
	all := offers{Image: image, Claims: true, Deployers: []string{"team-a"}}
	for name, test := range map[string]struct {
		namespace, role string
		offered         offers
		want            [3]string // a part of each
	}{
		"a viewer":                               {"team-a", "viewer", all, [3]string{"get pods", "logs", "get events"}},
		"a developer":                            {"team-a", "developer", all, [3]string{"get pods", "create deployment hello --image " + image, "create --filename -"}},
		"a developer where nothing is offered":   {"team-a", "developer", offers{}, [3]string{"get pods", "logs", "get events"}},
		"an owner of a namespace with a CI":      {"team-a", "owner", all, [3]string{"get pods", "create deployment", "create token deployer --duration 30m"}},
		"an owner of a namespace without a CI":   {"team-b", "owner", all, [3]string{"get pods", "create deployment", `"kind":"NamespaceClaim"`}},
		"an owner where there are no claims":     {"team-b", "owner", offers{Image: image}, [3]string{"get pods", "create deployment", "logs"}},
		"a developer of a namespace with a CI":   {"team-a", "developer", offers{Deployers: []string{"team-a"}}, [3]string{"get pods", "logs", "get events"}},
		"a role that this program does not know": {"team-a", "auditor", offers{}, [3]string{"get pods", "logs", "get events"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &onboarding{user: "alice", out: "alice.kubeconfig"}
			commands := o.commands(test.namespace, test.role, test.offered)
			if len(commands) != 3 {
				t.Fatalf("%d commands: %q", len(commands), commands)
			}
			for i, command := range commands {
				if !strings.Contains(command, test.want[i]) || !strings.Contains(command, "kubectl --kubeconfig alice.kubeconfig --namespace "+test.namespace+" ") {
					t.Errorf("command %d is %q, want %q in it", i+1, command, test.want[i])
				}
			}
		})
	}
}

func TestAShellReadsEachCommandAsItIsMeant(t *testing.T) {
	t.Parallel()
	o := &onboarding{user: `o'brien "x" $(id)`, out: "a file's $HOME.kubeconfig"}
	commands := o.commands("team-a", "developer", offers{Image: "a/b:1.2.3", Claims: true})
	script := `kubectl() { case $* in *filename*) cat ;; *) printf '%s\n' "$2" ;; esac; }` + "\n" + strings.Join(commands, "\n")
	text, err := exec.Command("sh", "-euc", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 3 || lines[0] != o.out || lines[1] != o.out {
		t.Fatalf("the shell reads %q", lines)
	}
	var claim struct{ Spec struct{ Owner string } }
	if err := json.Unmarshal([]byte(lines[2]), &claim); err != nil || claim.Spec.Owner != o.user {
		t.Errorf("the claim is %s, %v", lines[2], err)
	}
}

func TestEachRoleIsSaidInWords(t *testing.T) {
	t.Parallel()
	for role := range map[string]bool{"viewer": true, "developer": true, "owner": true} {
		if meanings[role] == "" {
			t.Errorf("%s has no meaning", role)
		}
	}
}
