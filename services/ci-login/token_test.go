package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// unsigned is a token that nobody has signed: the API server looks at signatures, and this program does not.
func unsigned(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(text) + ".c2lnbmF0dXJl"
}

// answering is the issuer of a job whose requests a function answers.
func answering(t *testing.T, answer http.HandlerFunc) issuer {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	return issuer{url: server.URL + "/token?api-version=2.0", secret: "the job's", audience: "https://kubernetes.example.com?a&b", client: server.Client(), now: func() time.Time { return noon }}
}

// value answers with a token.
func value(token string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"value": token})
	}
}

func TestTheTokenIsPrintedAsAClientOfKubernetesReadsIt(t *testing.T) {
	token := unsigned(map[string]any{"exp": noon.Add(5 * time.Minute).Unix()})
	i := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer the job's" {
			t.Errorf("Authorization is %q", got)
		}
		if q := r.URL.Query(); q.Get("audience") != "https://kubernetes.example.com?a&b" || q.Get("api-version") != "2.0" {
			t.Errorf("asked with %s", r.URL.RawQuery)
		}
		value(token)(w, r)
	})
	var stdout bytes.Buffer
	if err := printCredential(t.Context(), i, &stdout); err != nil {
		t.Fatal(err)
	}
	var credential struct {
		APIVersion, Kind string
		Status           struct {
			Token               string
			ExpirationTimestamp time.Time
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &credential); err != nil {
		t.Fatal(err)
	}
	if credential.APIVersion != "client.authentication.k8s.io/v1" || credential.Kind != "ExecCredential" || credential.Status.Token != token {
		t.Errorf("printed %s", stdout.String())
	}
	if got := credential.Status.ExpirationTimestamp; !got.Equal(noon.Add(5*time.Minute - margin)) {
		t.Errorf("it is used until %s", got)
	}
}

func TestATokenThatCannotBeHadHasItsReasonAndNoSecretInIt(t *testing.T) {
	for _, c := range []struct {
		sentence string
		answer   http.HandlerFunc
		change   func(*issuer)
		says     string
	}{
		{"a job without the permission", nil, func(i *issuer) { i.url, i.secret = "", "" }, "give the job `permissions: {id-token: write}`; a pull request of a fork never gets one"},
		{"no audience", nil, func(i *issuer) { i.audience = "" }, "KUBE_AUDIENCE: is missing; set the variable"},
		{"an address without TLS", nil, func(i *issuer) { i.url = "http://127.0.0.1:1/" }, "must be an https URL"},
		{"nobody there", nil, func(i *issuer) { i.url = "https://127.0.0.1:1/" }, "ask 127.0.0.1:1 for a token: dial tcp"},
		{"a job that is over", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, nil, "for a token: 403 Forbidden; give the job"},
		{"an answer that is no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, nil, "the answer is no JSON"},
		{"an answer without a token", value(""), nil, "no JSON Web Token"},
		{"a token without claims", value("a.b.c"), nil, "no JSON Web Token"},
		{"an endless answer", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("a"), 1<<20)) }, nil, "the answer is no JSON"},
		{"a token that is over", value(unsigned(map[string]any{"exp": noon.Add(-time.Minute).Unix()})), nil,
			"ended at 2026-08-01T11:59:00Z, and here it is 2026-08-01T12:00:00Z; set the clock of the runner, or run the job again"},
		{"a token that ends before a request can", value(unsigned(map[string]any{"exp": noon.Add(10 * time.Second).Unix()})), nil, "ended at 2026-08-01T12:00:10Z"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			i := answering(t, c.answer)
			if c.change != nil {
				c.change(&i)
			}
			var stdout bytes.Buffer
			err := printCredential(t.Context(), i, &stdout)
			if err == nil || !strings.Contains(err.Error(), c.says) || stdout.Len() > 0 {
				t.Fatalf("got %v, printed %q", err, stdout.String())
			}
			if strings.Contains(err.Error(), "the job's") || strings.Contains(err.Error(), "c2lnbmF0dXJl") || strings.Contains(err.Error(), "\n") {
				t.Errorf("in the error: %v", err)
			}
		})
	}
}

func TestLoginRefusesVariablesThatCannotWork(t *testing.T) {
	for says, variables := range map[string]map[string]string{
		`KUBE_SERVER "": must be the https URL`:                     {},
		`KUBE_SERVER "http://10.0.0.1": must be the https URL`:      {"KUBE_SERVER": "http://10.0.0.1"},
		"KUBE_CA: must hold the certificate of the cluster's":       {"KUBE_SERVER": "https://10.0.0.1", "KUBE_CA": "/etc/ca.crt"},
		"ACTIONS_ID_TOKEN_REQUEST_URL: is missing: GitHub issues n": {"KUBE_SERVER": "https://10.0.0.1", "KUBE_AUDIENCE": "a"},
	} {
		variables["RUNNER_TEMP"] = t.TempDir()
		err := run(t.Context(), []string{"login"}, func(name string) string { return variables[name] }, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %s", err, says)
		}
		if left, _ := filepath.Glob(filepath.Join(variables["RUNNER_TEMP"], "*")); len(left) > 0 {
			t.Errorf("it has left %q", left)
		}
	}
	if err := run(t.Context(), []string{"logout"}, os.Getenv, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "must be login or token") {
		t.Errorf("got %v", err)
	}
}
