package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"
)

func metadataScheme() *runtime.Scheme {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		panic(err)
	}
	return scheme
}

func TestOnlyTheAPIServerIsAnswered(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	admin := http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}, "Authorization": {"Bearer token"}}
	for name, refused := range map[string]*http.Client{
		"without a certificate":                       clientWith(),
		"with a certificate of another authority":     newAuthority(t, "front proxy").client("front-proxy-client"),
		"with a certificate of another client":        r.front.client("kubelet"),
		"with a certificate that has the name beside": r.front.client("front-proxy-client.example.com"),
	} {
		for _, path := range []string{"", "/logs", "/namespaces/alice/logs", proxyPath + "/select/vmui/", "/nothing", "//"} {
			got := r.do(refused, http.MethodGet, "", prefix+path, "", admin)
			if got.status != http.StatusUnauthorized {
				t.Errorf("%s: %s: status %d", name, path, got.status)
			}
			got.is(http.StatusUnauthorized, "only the API server may ask here")
		}
	}
	r.get("", "/namespaces/alice/logs").is(http.StatusUnauthorized)
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
	r.get("alice", "/namespaces/alice/logs").is(http.StatusOK, "hello")
}

func TestAnotherAuthorityOfTheAPIServerIsTakenWhileItRuns(t *testing.T) {
	t.Parallel()
	r := newReader(t, newStore(t, oneLine).URL)
	next := newAuthority(t, "next front proxy")
	maps := r.clients.CoreV1().ConfigMaps(authenticationNamespace)
	if _, err := maps.Update(context.Background(), r.authentication(next), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := next.client("front-proxy-client")
	eventually(t, "the new authority is known", func() bool {
		return r.do(client, http.MethodGet, "alice", prefix, "", nil).status == http.StatusOK
	})
	r.client.CloseIdleConnections()
	r.get("alice", "").is(http.StatusUnauthorized)
}

func TestTheServingCertificateIsReadAgainWhenItsFilesChange(t *testing.T) {
	t.Parallel()
	r := newReader(t, newStore(t, oneLine).URL)
	served := func() string {
		connection, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err.Error()
		}
		defer func() { _ = connection.Close() }()
		return connection.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if name := served(); name != "first" {
		t.Fatalf("it serves %s", name)
	}
	r.writeCertificate("second")
	eventually(t, "the second certificate is served", func() bool { return served() == "second" })
}

func TestItIsNotReadyUntilTheAPIServerIsKnown(t *testing.T) {
	t.Parallel()
	r := newReader(t, "http://127.0.0.1:1")
	if status := r.probe("/readyz"); status != http.StatusOK {
		t.Errorf("without a store: %d", status)
	}
	if status := r.probe("/livez"); status != http.StatusOK {
		t.Errorf("livez: %d", status)
	}
}
