//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// logsInABrowser opens the link that alice's command prints, and does nothing else. What is asked for matches a line of bob's as well,
// which has the secret in it.
func logsInABrowser(t *testing.T, secret string) {
	link := servePage(t, "--since", "15m", "--query", "quiet or canary")
	base, _, _ := strings.Cut(link, "select/vmui/")
	ctx := openBrowser(t)
	var mu sync.Mutex
	var requested, outside, failed []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			address := e.Request.URL
			if path, inside := strings.CutPrefix(address, base); inside {
				requested = append(requested, path)
			} else if !strings.HasPrefix(address, "data:") && !strings.HasPrefix(address, "blob:") {
				outside = append(outside, address)
			}
		case *network.EventWebSocketCreated:
			outside = append(outside, e.URL)
		case *network.EventResponseReceived:
			if path := strings.TrimPrefix(e.Response.URL, base); e.Response.Status >= 400 && path != "select/tenant_ids" { // see noEscape
				failed = append(failed, path)
			}
		}
	})
	var html string
	do(ctx, t,
		"watch what the page asks for", network.Enable(),
		"open the link", chromedp.Navigate(link),
		"see a line of alice's pod", chromedp.Poll(`/n=\d+ quiet/.test(document.body.innerText)`, nil),
		"see which pod wrote it", chromedp.Poll(`document.body.innerText.includes("e2e-quiet")`, nil),
		"see the chart", chromedp.WaitVisible(`canvas`, chromedp.ByQuery),
		"read all of the page", chromedp.OuterHTML("html", &html),
	)
	picture(ctx, t, "logs.png")
	if strings.Contains(html, secret) || strings.Contains(html, "e2e-canary") {
		t.Error("the page shows a line of bob's")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(outside) > 0 {
		t.Errorf("the page asks elsewhere: %q", outside)
	}
	if len(failed) > 0 {
		t.Errorf("the page is refused %q", failed)
	}
	for _, path := range []string{"select/logsql/query", "select/logsql/hits"} {
		if !slices.Contains(requested, path) {
			t.Errorf("%s is not among what the page asks for: %q", path, requested)
		}
	}
}
