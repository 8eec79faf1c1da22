package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/metadata"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"example.com/journal/services/namespace-controller/api"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// prefix is where the API begins.
const prefix = "/apis/observe.journal.example.com/v1alpha1"

var namespaceResource = corev1.SchemeGroupVersion.WithResource("namespaces")

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return authority{certificate: must(x509.ParseCertificate(der)), key: key}
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
}

// sign returns a certificate and its key.
func (a authority) sign(name string) (certificate, key []byte) {
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.certificate, own.Public(), a.key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(own))})
}

// client returns a client with a certificate of the authority.
func (a authority) client(name string) *http.Client {
	return clientWith(must(tls.X509KeyPair(a.sign(name))))
}

func clientWith(certificates ...tls.Certificate) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// reader is the program with a pretended API server, which has three tenants.
type reader struct {
	t              *testing.T
	url, metrics   string
	front, serving authority
	clients        *fake.Clientset
	names          *metadatafake.FakeMetadataClient
	client         *http.Client
	stop           func() error
	log            *lines
	// The times are those of the program, if a test does not set them.
	queryTimeout, followTimeout time.Duration
	folder                      string
	// metricStore is the address of the metric store, and settle its time of a namespace, if a test has one.
	metricStore string
	settle      time.Duration
}

// created is when the namespaces of the tests were created.
var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// namespace returns a namespace of a tenant, or of none.
func namespace(name, uid, tenant string) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), CreationTimestamp: metav1.NewTime(created)},
	}
	if tenant != "" {
		object.Labels = map[string]string{api.LabelTenant: tenant}
	}
	return object
}

func newReader(t *testing.T, store string) *reader {
	t.Helper()
	return newReaderWith(t, store, queryTimeout, followTimeout)
}

func newReaderWith(t *testing.T, store string, queryTimeout, followTimeout time.Duration) *reader {
	t.Helper()
	return startReader(t, store, &reader{queryTimeout: queryTimeout, followTimeout: followTimeout})
}

// newMetricsReader has a metric store and no log store.
func newMetricsReader(t *testing.T, store string) *reader {
	t.Helper()
	return startReader(t, "", &reader{queryTimeout: queryTimeout, followTimeout: followTimeout, metricStore: store, settle: settleTime})
}

func startReader(t *testing.T, store string, r *reader) *reader {
	t.Helper()
	r.t, r.front, r.serving, r.log, r.folder = t, newAuthority(t, "front proxy"), newAuthority(t, "serving"), &lines{}, t.TempDir()
	r.client = r.front.client("front-proxy-client")
	r.clients = fake.NewClientset(r.authentication(r.front))
	r.names = metadatafake.NewSimpleMetadataClient(metadataScheme(), namespace("alice", "1", "alice"), namespace("bob", "2", "bob"),
		namespace("alice-claim", "3", "alice"), namespace("platform", "4", ""))
	r.writeCertificate("first")
	r.start(store, r.clients, r.names)
	// What changes between the list and the watch of the pretended API server would be lost.
	eventually(t, "it watches", func() bool { return watches(r.names.Actions()) == 1 && watches(r.clients.Actions()) == 2 })
	return r
}

// start starts the program, and waits until it is ready.
func (r *reader) start(store string, clients kubernetes.Interface, names metadata.Interface) {
	t := r.t
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	o := options{
		logsURL: must(storeURL(store)), metricsURL: must(storeURL(r.metricStore)), settle: r.settle, listen: "127.0.0.1:0", metricsListen: "127.0.0.1:0",
		queryTimeout: r.queryTimeout, followTimeout: r.followTimeout,
		certFile: filepath.Join(r.folder, "tls.crt"), keyFile: filepath.Join(r.folder, "tls.key"),
	}
	go func() { ended <- serve(ctx, o, slog.New(slog.NewJSONHandler(r.log, nil)), clients, names) }()
	r.stop = sync.OnceValue(func() error {
		stop()
		select {
		case err := <-ended:
			return err
		case <-time.After(drainTimeout + 10*time.Second):
			t.Error("it does not end")
			return nil
		}
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	eventually(t, "it listens", func() bool {
		for text := range strings.Lines(r.log.String()) {
			var line struct{ Msg, Address, Metrics string }
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "listening" {
				r.url, r.metrics = "https://"+line.Address, "http://"+line.Metrics
			}
		}
		return r.url != ""
	})
	eventually(t, "it is ready", func() bool { return r.probe("/readyz") == http.StatusOK })
}

func watches(actions []clienttesting.Action) (count int) {
	for _, action := range actions {
		if action.GetVerb() == "watch" {
			count++
		}
	}
	return count
}

func (r *reader) authentication(a authority) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: authenticationNamespace, Name: authenticationName},
		Data: map[string]string{
			"requestheader-client-ca-file":       a.pem(),
			"requestheader-allowed-names":        `["front-proxy-client"]`,
			"requestheader-username-headers":     `["X-Remote-User"]`,
			"requestheader-group-headers":        `["X-Remote-Group"]`,
			"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
		},
	}
}

// writeCertificate writes a new serving certificate as the kubelet does: all files of a volume change at once, by a link to another
// folder.
func (r *reader) writeCertificate(name string) {
	certificate, key := r.serving.sign(name)
	folder, err := os.OpenRoot(r.folder)
	if err != nil {
		r.t.Fatal(err)
	}
	const current, next = "..data", "..data_tmp"
	before, _ := folder.Readlink(current)
	errs := []error{folder.Mkdir(".."+name, 0o700), folder.Symlink(".."+name, next)}
	for file, content := range map[string][]byte{"tls.key": key, "tls.crt": certificate} {
		errs = append(errs, folder.WriteFile(filepath.Join(".."+name, file), content, 0o600))
		if before == "" {
			errs = append(errs, folder.Symlink(filepath.Join(current, file), file))
		}
	}
	errs = append(errs, folder.Rename(next, current))
	if before != "" {
		errs = append(errs, folder.RemoveAll(before))
	}
	if err := errors.Join(append(errs, folder.Close())...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) probe(path string) int {
	response, err := http.Get(r.metrics + path)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// answer is what the reader says.
type answer struct {
	t      *testing.T
	status int
	body   string
	header http.Header
}

// open asks as a user, and leaves the answer open.
func (r *reader) open(client *http.Client, method, user, path string, body io.Reader, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	r.t.Cleanup(cancel)
	request := must(http.NewRequestWithContext(ctx, method, r.url+path, body))
	maps.Copy(request.Header, header)
	if user != "" {
		request.Header.Set("X-Remote-User", user)
	}
	if body != nil && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return client.Do(request)
}

func (r *reader) do(client *http.Client, method, user, path, body string, header http.Header) answer {
	r.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	response, err := r.open(client, method, user, path, reader, header)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{t: r.t, status: response.StatusCode, body: string(text), header: response.Header}
}

// get asks as a user whom the API server forwards. The path is below the API's.
func (r *reader) get(user, path string) answer {
	r.t.Helper()
	return r.do(r.client, http.MethodGet, user, prefix+path, "", nil)
}

func (r *reader) post(user, path string, form url.Values) answer {
	r.t.Helper()
	return r.do(r.client, http.MethodPost, user, prefix+path, form.Encode(), nil)
}

// is checks the status, and that an error is a Status with the parts in its message.
func (a answer) is(status int, parts ...string) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("status %d, not %d: %s", a.status, status, a.body)
	}
	text := a.body
	if status >= 400 {
		var s metav1.Status
		err := json.Unmarshal([]byte(a.body), &s)
		if err != nil || s.Kind != "Status" || int(s.Code) != status || s.Status != metav1.StatusFailure {
			a.t.Errorf("no Status of %d: %s", status, a.body)
		}
		text = s.Message
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			a.t.Errorf("no %q in %s", part, text)
		}
	}
	return a
}

// pretendedStore answers everything, and keeps what it was asked.
type pretendedStore struct {
	*httptest.Server
	mu       sync.Mutex
	requests []asked
}

// asked is one request.
type asked struct {
	method, path, rawQuery string
	header                 http.Header
	form                   url.Values
}

func newStore(t *testing.T, answer http.HandlerFunc) *pretendedStore {
	t.Helper()
	s := &pretendedStore{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.mu.Lock()
		s.requests = append(s.requests, asked{r.Method, r.URL.Path, r.URL.RawQuery, r.Header, r.Form})
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

// taken returns what the store was asked since the last call.
func (s *pretendedStore) taken() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.requests
	s.requests = nil
	return all
}

// one returns the one request since the last call.
func (s *pretendedStore) one(t *testing.T) asked {
	t.Helper()
	all := s.taken()
	if len(all) != 1 {
		t.Fatalf("the store was asked %d times", len(all))
	}
	return all[0]
}

func oneLine(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/stream+json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("AccountID", "0")
	_, _ = io.WriteString(w, `{"_msg":"hello"}`+"\n")
}

// lines is a buffer that may be written while it is read.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(data)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// eventually waits for something that happens soon.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}
