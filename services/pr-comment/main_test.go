package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fake is GitHub with the comments of one pull request.
type fake struct {
	comments []map[string]any
	// calls are what was asked for, in order.
	calls []string
	// status is what every call is answered with, if it is set.
	status int
	// elsewhere is where the comments say that they are, if it is set.
	elsewhere string
	url       string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	if f.status != 0 {
		w.WriteHeader(f.status)
		fmt.Fprint(w, `{"message": "Resource not accessible by integration"}`)
		return
	}
	if r.Header.Get("Authorization") != "Bearer token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var body struct{ Body string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	const all, one = "/repos/example/journal/issues/7/comments", "/repos/example/journal/issues/comments/"
	switch {
	case r.Method == http.MethodGet && r.URL.Path == all:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		first := min((page-1)*perPage, len(f.comments))
		_ = json.NewEncoder(w).Encode(f.comments[first:min(first+perPage, len(f.comments))])
	case r.Method == http.MethodPost && r.URL.Path == all:
		_ = json.NewEncoder(w).Encode(f.add(bot, body.Body))
	case r.Method == http.MethodPatch && strings.HasPrefix(r.URL.Path, one):
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, one))
		if err != nil || i >= len(f.comments) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		f.comments[i]["body"] = body.Body
		_ = json.NewEncoder(w).Encode(f.comments[i])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// add adds a comment of somebody.
func (f *fake) add(login, body string) map[string]any {
	n := len(f.comments)
	f.comments = append(f.comments, map[string]any{"body": body, "user": map[string]any{"login": login},
		"url": fmt.Sprintf("%s%s/repos/example/journal/issues/comments/%d", f.url, f.elsewhere, n), "html_url": fmt.Sprintf("https://github.com/example/journal/pull/7#%d", n)})
	return f.comments[n]
}

// bodies are the texts of all comments.
func (f *fake) bodies() (texts []string) {
	for _, c := range f.comments {
		texts = append(texts, c["body"].(string))
	}
	return texts
}

func start(t *testing.T) *fake {
	t.Helper()
	f := &fake{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// commented writes a text on the pull request, with some variables changed.
func commented(t *testing.T, f *fake, text string, changed ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "body.md")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"GITHUB_API_URL": f.url, "GITHUB_REPOSITORY": "example/journal", "GITHUB_TOKEN": "token", "PULL_REQUEST": "7"}
	for i := 0; i < len(changed); i += 2 {
		variables[changed[i]] = changed[i+1]
	}
	var stdout bytes.Buffer
	err := run(t.Context(), []string{file}, func(name string) string { return variables[name] }, &stdout)
	return stdout.String(), err
}

func TestTheFirstRunWritesACommentAndTheNextOnesEditIt(t *testing.T) {
	f := start(t)
	f.add("alice", "please look")
	said, err := commented(t, f, "<!-- render-diff -->\none")
	if err != nil || said != "written: https://github.com/example/journal/pull/7#1\n" {
		t.Fatal(said, err)
	}
	f.comments[1]["body"] = "<!-- render-diff -->\r\none" // as GitHub's page sends it
	if said, err = commented(t, f, "<!-- render-diff -->\ntwo"); err != nil || said != "edited https://github.com/example/journal/pull/7#1\n" {
		t.Fatal(said, err)
	}
	if _, err := commented(t, f, "<!-- other -->\nthree"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", f.bodies()); got != `["please look" "<!-- render-diff -->\ntwo" "<!-- other -->\nthree"]` {
		t.Error(got)
	}
}

func TestACommentOfSomebodyElseIsLeftAlone(t *testing.T) {
	f := start(t)
	f.add("mallory", "<!-- render-diff -->\nmine")
	f.add(bot, "see\n<!-- render-diff -->\n")
	if _, err := commented(t, f, "<!-- render-diff -->\none"); err != nil || len(f.comments) != 3 || f.bodies()[0] != "<!-- render-diff -->\nmine" {
		t.Error(f.bodies(), err)
	}
}

func TestACommentOnALaterPageIsFound(t *testing.T) {
	f := start(t)
	for range 250 {
		f.add("alice", "a")
	}
	f.add(bot, "<!-- render-diff -->\none")
	if _, err := commented(t, f, "<!-- render-diff -->\ntwo"); err != nil || len(f.comments) != 251 || f.bodies()[250] != "<!-- render-diff -->\ntwo" {
		t.Error(len(f.comments), err)
	}
}

func TestTheTokenGoesNowhereElse(t *testing.T) {
	f := start(t)
	f.elsewhere = "/other"
	f.add(bot, "<!-- render-diff -->\none")
	if _, err := commented(t, f, "<!-- render-diff -->\ntwo"); err == nil || !strings.Contains(err.Error(), "must be in the repository") {
		t.Error(err, f.calls)
	}
}

func TestWhatCannotBeWrittenHasItsReason(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		says, text string
		changed    []string
	}{
		{"its first line must say which comment it is", "one", nil},
		{"its first line must say which comment it is", "<!-- a --> b\none", nil},
		{"GITHUB_TOKEN: is missing", "<!-- a -->\n", []string{"GITHUB_TOKEN", ""}},
		{`PULL_REQUEST "": must be the number`, "<!-- a -->\n", []string{"PULL_REQUEST", ""}},
		{`PULL_REQUEST "7/../8": must be the number`, "<!-- a -->\n", []string{"PULL_REQUEST", "7/../8"}},
		{`GITHUB_API_URL "" and GITHUB_REPOSITORY "example/journal": must be set`, "<!-- a -->\n", []string{"GITHUB_API_URL", ""}},
		{"404 Not Found", "<!-- a -->\n", []string{"PULL_REQUEST", "8"}},
	} {
		if _, err := commented(t, f, c.text, c.changed...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %s", err, c.says)
		}
	}
	f.status = http.StatusForbidden
	_, err := commented(t, f, "<!-- a -->\n")
	if err == nil || !strings.Contains(err.Error(), "403 Forbidden: Resource not accessible by integration; the job needs `permissions: {pull-requests: write}`") || strings.Contains(err.Error(), "Bearer") {
		t.Error(err)
	}
	if err := run(t.Context(), nil, os.Getenv, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "one file is expected") {
		t.Error(err)
	}
}
