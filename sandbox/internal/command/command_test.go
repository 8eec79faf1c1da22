package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutputSaysWhatTheCommandComplainedAbout(t *testing.T) {
	out, err := Output(exec.Command("sh", "-c", "echo entry; echo noise >&2"))
	if err != nil || out != "entry\n" {
		t.Errorf("the output is %q, %v", out, err)
	}
	_, err = Output(exec.Command("sh", "-c", "echo 'no such pod' >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "sh -c") || !strings.HasSuffix(err.Error(), "exit status 3: no such pod") {
		t.Errorf("the error is %v", err)
	}
}

func TestKubectlUsesOneClusterAndRemembersItBesideItsKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", "/home/alice/.kube/config")
	built := t.TempDir()
	if err := os.WriteFile(filepath.Join(built, "kubernetes"), []byte("#!/bin/sh\necho \"$KUBECONFIG $KUBECACHEDIR $*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := Output(Kubectl(t.Context(), built, "/state/kubeconfig", "get", "pods"))
	if want := "/state/kubeconfig /state/kubectl get pods\n"; err != nil || out != want {
		t.Errorf("kubectl got %q (%v), not %q", out, err, want)
	}
}

func TestAMissingKubectlIsToldWhenItIsRun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Output(Kubectl(t.Context(), t.TempDir(), "/state/kubeconfig", "get", "pods")); err == nil || !strings.HasSuffix(err.Error(), "install kubectl") {
		t.Errorf("the error is %v", err)
	}
}
