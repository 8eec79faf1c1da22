//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	certificates "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"example.com/journal/services/namespace-controller/kubetest"
)

// TestOnboardingOnARealCluster onboards alice with a real apiserver and a real signer, logs in as her, and renews.
func TestOnboardingOnARealCluster(t *testing.T) {
	folder := t.TempDir()
	environment, err := kubetest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	user, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	admin := filepath.Join(folder, "admin.kubeconfig")
	if err := os.WriteFile(admin, text, 0o600); err != nil {
		t.Fatal(err)
	}
	startSigner(t, environment, admin, folder)
	clients, err := kubernetes.NewForConfig(user.Config())
	if err != nil {
		t.Fatal(err)
	}
	declareAlice(t, clients)

	out := filepath.Join(folder, "alice.kubeconfig")
	said, err := onboard(t, "alice", "--kubeconfig", admin, "--out", out, "--expires", "1h")
	if err != nil {
		t.Fatal(err, said)
	}
	t.Log(said)
	config, err := clientcmd.BuildConfigFromFlags("", out)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	// The apiserver takes up the signer's authority, which was added while it ran, within a moment.
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if _, err = alice.CoreV1().ConfigMaps("alice").List(t.Context(), metav1.ListOptions{}); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Fatalf("alice cannot log in: %v", err)
	}
	if _, err := alice.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("alice may look into another namespace")
	}
	record, err := clients.CoreV1().ConfigMaps(platform).Get(t.Context(), recordName, metav1.GetOptions{})
	if err != nil || !strings.Contains(record.Data["alice"], `"approvedBy":"admin"`) {
		t.Errorf("the record says %v, %v", record.Data, err)
	}

	// She renews with her own kubeconfig: she may ask, and admin approves.
	go approveNext(t.Context(), clients)
	said, err = onboard(t, "alice", "--kubeconfig", out, "--out", out, "--wait", "30s")
	for _, part := range []string{"you may not approve", "kubectl certificate approve onboard-", "renewed", "you may not write the record of issued certificates"} {
		if err != nil || !strings.Contains(said, part) {
			t.Errorf("%v, says %q, want %q in it", err, said, part)
		}
	}

	if said, err := onboard(t, "mallory", "--kubeconfig", admin, "--out", filepath.Join(folder, "m")); err == nil || !strings.Contains(err.Error(), "is not declared") {
		t.Errorf("mallory got in: %v %s", err, said)
	}

	// Her certificate holds on, and opens nothing when her binding is gone.
	if err := clients.RbacV1().RoleBindings("alice").Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	err = nil
	for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		_, err = alice.CoreV1().ConfigMaps("alice").List(t.Context(), metav1.ListOptions{})
	}
	if err == nil {
		t.Error("alice is removed and still reads")
	}
}

// onboard runs the program's command line.
func onboard(t *testing.T, args ...string) (string, error) {
	t.Helper()
	said := &bytes.Buffer{}
	c := command(said)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return said.String(), err
}

// approveNext approves the first request that waits.
func approveNext(ctx context.Context, clients kubernetes.Interface) {
	requests := clients.CertificatesV1().CertificateSigningRequests()
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		list, err := requests.List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for i := range list.Items {
			if request := &list.Items[i]; len(request.Status.Conditions) == 0 {
				request.Status.Conditions = []certificates.CertificateSigningRequestCondition{{Type: certificates.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Known"}}
				if _, err := requests.UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{}); err == nil {
					return
				}
			}
		}
	}
}

// declareAlice does what the stack does for alice, and lets her ask for certificates.
func declareAlice(t *testing.T, clients kubernetes.Interface) {
	t.Helper()
	ctx := t.Context()
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "alice"}}
	named := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	var errs []error
	try := func(_ any, err error) { errs = append(errs, err) }
	for _, name := range []string{platform, "alice"} {
		try(clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: named("", name)}, metav1.CreateOptions{}))
	}
	try(clients.CoreV1().ConfigMaps(platform).Create(ctx, &corev1.ConfigMap{ObjectMeta: named(platform, usersName), Data: map[string]string{"users.json": users, "offers.json": offered}}, metav1.CreateOptions{}))
	try(clients.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: named("", "asks"), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create", "get"}}}}, metav1.CreateOptions{}))
	try(clients.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: named("", "asks"), Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "asks"}}, metav1.CreateOptions{}))
	for _, namespace := range []string{platform, "alice"} {
		try(clients.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: named(namespace, "owner"), Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}}}}, metav1.CreateOptions{}))
		try(clients.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: named(namespace, "owner"), Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "owner"}}, metav1.CreateOptions{}))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// startSigner runs the controller that signs approved requests, with an authority that the apiserver then trusts.
func startSigner(t *testing.T, environment *envtest.Environment, kubeconfig, folder string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	trusted := filepath.Join(environment.ControlPlane.GetAPIServer().CertDir, "client-cert-auth-ca.crt")
	others, err := os.ReadFile(trusted)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(folder, "signer.crt"), filepath.Join(folder, "signer.key")
	if err := errors.Join(
		os.WriteFile(certFile, authority, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
		os.WriteFile(trusted, append(others, authority...), 0o600),
	); err != nil {
		t.Fatal(err)
	}

	program, err := kubetest.Program()
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	cmd := exec.Command(program, "kube-controller-manager", "--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--controllers=certificatesigningrequest-signing-controller", "--cluster-signing-cert-file="+certFile, "--cluster-signing-key-file="+keyFile)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

// lockedBuffer is a buffer that a process writes while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("%.20000s", b.Buffer.String())
}
