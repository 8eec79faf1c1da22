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

// logsInABrowser opens the link that alice's command prints. What is asked for matches a line of bob's as well.
func logsInABrowser(t *testing.T, secret string) {
	browse(t, servePage(t, logsProgram(), "--since", "15m", "--query", "quiet or canary"), storePage{
		path: "select/vmui/", asks: []string{"select/logsql/query", "select/logsql/hits"}, refused: []string{"select/tenant_ids"}, // see noEscape
		picture: "logs.png", secret: secret,
	},
		"see a line of alice's pod", chromedp.Poll(`/n=\d+ quiet/.test(document.body.innerText)`, nil),
		"see which pod wrote it", chromedp.Poll(`document.body.innerText.includes("e2e-quiet")`, nil),
		"see the chart", chromedp.WaitVisible(`canvas`, chromedp.ByQuery),
	)
}

// storePage is what is true of the page of a store.
type storePage struct {
	path            string   // where it is, below what the link leads to
	asks, refused   []string // what it must ask for, and what it is refused
	picture, secret string   // the name of the picture, and a word that only bob may see
}

// browse opens a link of alice's to the page of a store, does these steps, and nothing else.
func browse(t *testing.T, link string, page storePage, steps ...any) {
	t.Helper()
	base, _, _ := strings.Cut(link, page.path)
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
			if path := strings.TrimPrefix(e.Response.URL, base); e.Response.Status >= 400 && !slices.Contains(page.refused, path) {
				failed = append(failed, path)
			}
		}
	})
	var html string
	do(ctx, t, slices.Concat([]any{"watch what the page asks for", network.Enable(), "open the link", chromedp.Navigate(link)}, steps,
		[]any{"read all of the page", chromedp.OuterHTML("html", &html)})...)
	picture(ctx, t, page.picture)
	if strings.Contains(html, page.secret) || strings.Contains(html, "e2e-canary") {
		t.Error("the page shows something of bob's")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(outside) > 0 {
		t.Errorf("the page asks elsewhere: %q", outside)
	}
	if len(failed) > 0 {
		t.Errorf("the page is refused %q", failed)
	}
	for _, path := range page.asks {
		if !slices.Contains(requested, path) {
			t.Errorf("%s is not among what the page asks for: %q", path, requested)
		}
	}
}
