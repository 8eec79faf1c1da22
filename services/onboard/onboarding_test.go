package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certificates "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const users = `{"alice":{"namespace":"alice","namespaces":{"alice":"owner","team-a":"developer"}},"homeless":{}}`

const offered = `{"image":"registry.example.com/journal-web:v0.1.0-0a1b2c3","claims":true,"deployers":["alice"]}`

// desk is an onboarding against a cluster in memory, which signs what is approved.
type desk struct {
	*onboarding
	*testing.T
	cluster *fake.Clientset
	said    *bytes.Buffer
	// sign returns what the signer writes for a request; tests change it.
	sign func(*x509.CertificateRequest, *certificates.CertificateSigningRequest) []byte
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	cluster := fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: usersName}, Data: map[string]string{"users.json": users, "offers.json": offered}})
	said := &bytes.Buffer{}
	d := &desk{T: t, cluster: cluster, said: said, sign: certify, onboarding: &onboarding{
		user: "alice", out: filepath.Join(t.TempDir(), "alice.kubeconfig"), expires: 8 * time.Hour, patience: 100 * time.Millisecond,
		poll: time.Millisecond, clients: cluster, server: "https://kubernetes.example.com", authorities: []byte("authority"), stdout: said, now: time.Now,
	}}
	cluster.PrependReactor("create", "certificatesigningrequests", func(a clienttesting.Action) (bool, runtime.Object, error) {
		a.(clienttesting.CreateAction).GetObject().(*certificates.CertificateSigningRequest).Spec.Username = "admin"
		return false, nil, nil
	})
	cluster.PrependReactor("update", "certificatesigningrequests", func(a clienttesting.Action) (bool, runtime.Object, error) {
		request := a.(clienttesting.UpdateAction).GetObject().(*certificates.CertificateSigningRequest)
		block, _ := pem.Decode(request.Spec.Request)
		parsed, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Error(err)
		}
		request.Status.Certificate = d.sign(parsed, request)
		return false, nil, nil
	})
	return d
}

// certify signs a request as asked.
func certify(request *x509.CertificateRequest, object *certificates.CertificateSigningRequest) []byte {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: request.Subject,
		NotAfter: time.Now().Add(time.Duration(*object.Spec.ExpirationSeconds) * time.Second)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, request.PublicKey, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// refused runs the onboarding and wants an error, and no file and no request before it if nothing is to be sent.
func (d *desk) refused(want string) {
	d.Helper()
	if err := d.run(d.Context()); err == nil || !strings.Contains(err.Error(), want) {
		d.Errorf("says %v, want %q in it", err, want)
	}
}

func (d *desk) sent() int {
	list, err := d.cluster.CertificatesV1().CertificateSigningRequests().List(d.Context(), metav1.ListOptions{})
	if err != nil {
		d.Fatal(err)
	}
	return len(list.Items)
}

func (d *desk) issued() []entry {
	d.Helper()
	config, err := d.cluster.CoreV1().ConfigMaps(platform).Get(d.Context(), recordName, metav1.GetOptions{})
	if err != nil {
		d.Fatal(err)
	}
	var entries []entry
	if err := json.Unmarshal([]byte(config.Data[recordKey(d.user)]), &entries); err != nil {
		d.Fatal(err)
	}
	return entries
}

func TestOnboardingWritesAKubeconfigAndTheRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want mode 0600", info, err)
	}
	config, err := clientcmd.LoadFromFile(d.out)
	if err != nil {
		t.Fatal(err)
	}
	context := config.Contexts[config.CurrentContext]
	if context.Namespace != "alice" || context.AuthInfo != "alice" {
		t.Errorf("the context is %+v", context)
	}
	if cluster := config.Clusters[context.Cluster]; cluster.Server != "https://kubernetes.example.com" || string(cluster.CertificateAuthorityData) != "authority" {
		t.Errorf("the cluster is %+v", cluster)
	}
	for _, part := range []string{"wrote " + d.out + ": user alice, namespace alice, until ", "(8h0m0s from now)", "owner in alice: what a developer may", "developer in team-a: read",
		"  kubectl --kubeconfig " + d.out + " --namespace alice create token deployer"} {
		if !strings.Contains(d.said.String(), part) {
			t.Errorf("says %q, want %q in it", d.said, part)
		}
	}
	requests, _ := d.cluster.CertificatesV1().CertificateSigningRequests().List(t.Context(), metav1.ListOptions{})
	spec := requests.Items[0].Spec
	block, _ := pem.Decode(spec.Request)
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || asked.Subject.CommonName != "alice" || len(asked.Subject.Organization) > 0 || spec.SignerName != "kubernetes.io/kube-apiserver-client" || *spec.ExpirationSeconds != 28800 {
		t.Errorf("asked for %v with %+v, %v", asked.Subject, spec, err)
	}
	if key := config.AuthInfos["alice"].ClientKeyData; bytes.Contains(spec.Request, key) || !bytes.Contains(key, []byte("PRIVATE KEY")) {
		t.Errorf("the key is %.30s", key)
	}
	entries := d.issued()
	if len(entries) != 1 || entries[0].ApprovedBy != "admin" || len(entries[0].Fingerprint) != 64 || entries[0].Expires.Sub(entries[0].Issued).Round(time.Minute) != 8*time.Hour {
		t.Errorf("the record says %+v", entries)
	}
}

func TestASecondCallRenewsAndTheRecordKeepsTheNewest(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var keys [][]byte
	for range kept + 2 {
		if err := d.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		config, _ := clientcmd.LoadFromFile(d.out)
		keys = append(keys, config.AuthInfos["alice"].ClientKeyData)
	}
	if bytes.Equal(keys[0], keys[1]) || !strings.Contains(d.said.String(), "renewed "+d.out) {
		t.Errorf("the same key, or says %q", d.said)
	}
	entries := d.issued()
	if len(entries) != kept || entries[0].Issued.Before(entries[kept-1].Issued) {
		t.Errorf("keeps %d entries: %+v", len(entries), entries)
	}
}

func TestWhatIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	listsAre := func(users, offered string) func(*desk) {
		return func(d *desk) {
			config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: usersName},
				Data: map[string]string{"users.json": users, "offers.json": offered}}
			if _, err := d.cluster.CoreV1().ConfigMaps(platform).Update(d.Context(), config, metav1.UpdateOptions{}); err != nil {
				d.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*desk)
		want   string
	}{
		"an undeclared user":     {func(d *desk) { d.user = "mallory" }, `user "mallory": is not declared by the stack; add the user to its configuration`},
		"a system user":          {func(d *desk) { d.user = "system:admin" }, "are Kubernetes' own"},
		"a user without a home":  {func(d *desk) { d.user = "homeless" }, "has no namespace"},
		"too long":               {func(d *desk) { d.expires = 25 * time.Hour }, `--expires "25h0m0s": not from 10m0s to 24h0m0s`},
		"too short":              {func(d *desk) { d.expires = time.Minute }, `--expires "1m0s"`},
		"a broken list of users": {listsAre("{", offered), "users.json: unexpected end"},
		"no list of offers":      {listsAre(users, ""), "offers.json: unexpected end of JSON input; the stack writes it"},
		"somebody else's file":   {func(d *desk) { writeFile(d, "apiVersion: v1\nkind: Config\nusers: [{name: bob, user: {}}]\n") }, "is no kubeconfig of alice alone, so it is not overwritten"},
		"a file that is no such": {func(d *desk) { writeFile(d, "\x00dear diary") }, "is not overwritten"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			test.change(d)
			d.refused(test.want)
			if d.sent() != 0 {
				t.Error("a request was sent")
			}
		})
	}
}

func writeFile(d *desk, text string) {
	if err := os.WriteFile(d.out, []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

func TestWhatTheSignerGetsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sign func(*x509.CertificateRequest, *certificates.CertificateSigningRequest) []byte
		want string
	}{
		"nothing": {func(*x509.CertificateRequest, *certificates.CertificateSigningRequest) []byte { return nil }, "no certificate within 100ms; have it approved"},
		"no PEM":  {func(*x509.CertificateRequest, *certificates.CertificateSigningRequest) []byte { return []byte("x") }, "no PEM certificate"},
		"another key": {func(r *x509.CertificateRequest, o *certificates.CertificateSigningRequest) []byte {
			key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			r.PublicKey = &key.PublicKey
			return certify(r, o)
		}, "is for another key"},
		"a group": {func(r *x509.CertificateRequest, o *certificates.CertificateSigningRequest) []byte {
			r.Subject = pkix.Name{CommonName: "alice", Organization: []string{"system:masters"}}
			return certify(r, o)
		}, `the certificate is for "alice" in ["system:masters"]`},
		"forever": {func(r *x509.CertificateRequest, o *certificates.CertificateSigningRequest) []byte {
			*o.Spec.ExpirationSeconds = 1 << 30
			return certify(r, o)
		}, "the signer must respect expirationSeconds"},
		"a denial": {func(_ *x509.CertificateRequest, o *certificates.CertificateSigningRequest) []byte {
			o.Status.Conditions = append(o.Status.Conditions, certificates.CertificateSigningRequestCondition{Type: certificates.CertificateDenied, Reason: "No", Message: "not today"})
			return nil
		}, "is denied, because No: not today"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.sign = test.sign
			d.refused(test.want)
			if _, err := os.Stat(d.out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file was written: %v", err)
			}
		})
	}
}

// forbid refuses the caller something.
func (d *desk) forbid(verb, resource string) {
	d.cluster.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "it", errors.New("you may not"))
	})
}

func TestACallerWhoMayNotApproveIsToldWhoMustAndWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.patience = 5 * time.Second
	d.forbid("update", "certificatesigningrequests")
	approved := make(chan struct{})
	go func() { // The other one, who approves and whose cluster signs.
		defer close(approved)
		for d.sent() == 0 {
			time.Sleep(time.Millisecond)
		}
		list, _ := d.cluster.CertificatesV1().CertificateSigningRequests().List(t.Context(), metav1.ListOptions{})
		request := list.Items[0].DeepCopy()
		block, _ := pem.Decode(request.Spec.Request)
		parsed, _ := x509.ParseCertificateRequest(block.Bytes)
		request.Status.Certificate = certify(parsed, request)
		if err := d.cluster.Tracker().Update(certificates.SchemeGroupVersion.WithResource("certificatesigningrequests"), request, ""); err != nil {
			t.Error(err)
		}
	}()
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-approved
	if !strings.Contains(d.said.String(), "you may not approve certificates; waiting 5s for somebody who may approve signer kubernetes.io/kube-apiserver-client to run:\n  kubectl certificate approve onboard-") {
		t.Errorf("says %q", d.said)
	}
	if got := d.issued()[0].ApprovedBy; got != "another" {
		t.Errorf("approved by %q", got)
	}
}

func TestTheRecordSurvivesOthersWhoWriteIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	conflicts := 2
	d.cluster.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		conflicts--
		if conflicts < 0 {
			return false, nil, nil
		}
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, recordName, errors.New("changed"))
	})
	if err := d.run(t.Context()); err != nil || len(d.issued()) != 2 {
		t.Errorf("%v, %d entries", err, len(d.issued()))
	}
}

func TestARecordThatMayNotBeWrittenIsANoteAndABrokenOneAnError(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.forbid("create", "configmaps")
	if err := d.run(t.Context()); err != nil || !strings.Contains(d.said.String(), "note: you may not write the record of issued certificates") {
		t.Errorf("%v, says %q", err, d.said)
	}
	d = newDesk(t)
	broken := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: recordName}, Data: map[string]string{"alice": "{"}}
	if err := d.cluster.Tracker().Add(broken); err != nil {
		t.Fatal(err)
	}
	d.refused("the kubeconfig is written, but not the record journal-platform/issued-certificates: key \"alice\"")
}

func TestEachUserHasAKeyInTheRecord(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{"alice": "alice", "alice@example.com": "alice_40example.com", "a_b": "a_5fb", "é": "_c3a9"} {
		t.Run(user, func(t *testing.T) {
			if got := recordKey(user); got != want {
				t.Errorf("is kept under %q, want %q", got, want)
			}
		})
	}
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	insecure := filepath.Join(t.TempDir(), "insecure")
	const text = "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://localhost:1', insecure-skip-tls-verify: true}}]\n" +
		"contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {}}]\n"
	if err := os.WriteFile(insecure, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sentence, says string
		args           []string
	}{
		{"no user", "one user is expected", nil},
		{"two users", `arguments "alice bob": one user`, []string{"alice", "bob"}},
		{"an unknown flag", "unknown flag", []string{"alice", "--forever"}},
		{"a kubeconfig that does not exist", "read the caller's kubeconfig", []string{"alice", "--kubeconfig", "/nonexistent"}},
		{"a kubeconfig that checks no certificate", "says insecure-skip-tls-verify", []string{"alice", "--kubeconfig", insecure}},
		{"an end that is no time", `invalid argument "soon"`, []string{"alice", "--expires", "soon"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			program := command(&bytes.Buffer{})
			program.SetArgs(c.args)
			if err := program.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, want %q in it", err, c.says)
			}
		})
	}
}

// stackFile holds the objects of the stack dev, which a test of the stack writes.
const stackFile = "stacks/testdata/dev.yaml"

// repository is the checkout. Go's test cache notices a change of a file whose name begins with the module's folder, as here,
// and not of one that is named from above.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

func TestAUserWhomTheStackDeclaresIsOnboarded(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(repository, stackFile)
	if err != nil {
		t.Fatal(err)
	}
	var declared *corev1.ConfigMap
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		config := &corev1.ConfigMap{}
		if err := yaml.Unmarshal([]byte(document), config); err == nil && config.Kind == "ConfigMap" && config.Name == usersName && config.Namespace == platform {
			declared = config
		}
	}
	if declared == nil {
		t.Fatalf("%s: there is no ConfigMap %s/%s", stackFile, platform, usersName)
	}
	d := newDesk(t)
	if _, err := d.cluster.CoreV1().ConfigMaps(platform).Update(t.Context(), declared, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := d.said.String(); !strings.Contains(said, "user alice, namespace alice,") || !strings.Contains(said, "\nowner in team-a: ") ||
		!strings.Contains(said, "--namespace team-a create deployment hello --image registry.example.com/") || !strings.Contains(said, `"kind":"NamespaceClaim"`) {
		t.Errorf("says %q", said)
	}
}
