// Command pr-comment writes a file as the one comment of its kind on a pull request: it edits the comment that an earlier run has
// written, which begins with the same line.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// bot is who writes with the token of a workflow. A comment of anybody else is left alone, whatever it begins with.
	bot = "github-actions[bot]"
	// perPage and pages bound how many comments are looked through: a thousand.
	perPage, pages = 100, 10
	answerBytes    = 16 << 20
)

// kind is the first line of a comment: an HTML comment, which GitHub does not show.
var kind = regexp.MustCompile(`^<!-- [a-z][a-z-]* -->$`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pr-comment:", err)
		os.Exit(1)
	}
}

// run writes the file that the only argument names.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if len(args) != 1 {
		return fmt.Errorf("arguments %q: one file is expected; write for example `make comment BODY=render-diff.md`", args)
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	marker, _, _ := strings.Cut(string(text), "\n")
	if !kind.MatchString(marker) {
		return fmt.Errorf("%s: its first line must say which comment it is, such as <!-- render-diff -->", args[0])
	}
	g := github{token: getenv("GITHUB_TOKEN"), client: &http.Client{Timeout: 20 * time.Second}}
	if g.token == "" {
		return fmt.Errorf("GITHUB_TOKEN: is missing; write `env: {GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}}` in the step")
	}
	number, err := strconv.Atoi(getenv("PULL_REQUEST"))
	if err != nil || number < 1 {
		return fmt.Errorf("PULL_REQUEST %q: must be the number of a pull request; write `env: {PULL_REQUEST: ${{ github.event.pull_request.number }}}` in the step",
			getenv("PULL_REQUEST"))
	}
	if g.repository, err = url.JoinPath(getenv("GITHUB_API_URL"), "repos", getenv("GITHUB_REPOSITORY")); err != nil || getenv("GITHUB_API_URL") == "" || getenv("GITHUB_REPOSITORY") == "" {
		return fmt.Errorf("GITHUB_API_URL %q and GITHUB_REPOSITORY %q: must be set; run this in a job of a workflow", getenv("GITHUB_API_URL"), getenv("GITHUB_REPOSITORY"))
	}
	said, err := g.write(ctx, number, marker, string(text))
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, said)
	return nil
}

// github is the API of one repository: https://docs.github.com/rest/issues/comments, by which pull requests are commented, too.
type github struct {
	repository, token string
	client            *http.Client
}

// comment is as much of a comment as is needed.
type comment struct {
	URL  string `json:"url,omitempty"`
	Page string `json:"html_url,omitempty"`
	Body string `json:"body"`
	User struct {
		Login string `json:"login,omitempty"`
	} `json:"user,omitzero"`
}

// write edits the comment with the marker, or writes the first one, and says where it is.
func (g github) write(ctx context.Context, number int, marker, text string) (string, error) {
	all := fmt.Sprintf("%s/issues/%d/comments", g.repository, number)
	for page := 1; page <= pages; page++ {
		var some []comment
		if err := g.call(ctx, http.MethodGet, fmt.Sprintf("%s?per_page=%d&page=%d", all, perPage, page), nil, &some); err != nil {
			return "", err
		}
		for _, c := range some {
			if first, _, _ := strings.Cut(c.Body, "\n"); c.User.Login != bot || strings.TrimSpace(first) != marker {
				continue
			}
			if !strings.HasPrefix(c.URL, g.repository+"/issues/comments/") {
				return "", fmt.Errorf("the comment is at %q: must be in the repository; set GITHUB_API_URL to that of GitHub", c.URL)
			}
			var edited comment
			err := g.call(ctx, http.MethodPatch, c.URL, comment{Body: text}, &edited)
			return "edited " + edited.Page, err
		}
		if len(some) < perPage {
			break
		}
	}
	var written comment
	err := g.call(ctx, http.MethodPost, all, comment{Body: text}, &written)
	return "written: " + written.Page, err
}

// call sends a request, and reads the answer.
func (g github) call(ctx context.Context, method, at string, body, answer any) error {
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, at, sent)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+g.token)
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	response, err := g.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, at, err)
	}
	if response.StatusCode >= 300 {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(text, &said)
		return fmt.Errorf("%s %s: %s: %s; the job needs `permissions: {pull-requests: write}`, which a fork's never has", method, at, response.Status, said.Message)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, at, err)
	}
	return nil
}
