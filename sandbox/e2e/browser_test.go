//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// openBrowser starts a separate browser, which ends with the test.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "journal-browser") //nolint:usetesting // see below: t.TempDir would be deleted once, and fail
	if err != nil {
		t.Fatal(err)
	}
	// The browser's helper processes write to the profile for a moment after the browser has ended.
	t.Cleanup(func() { eventually(t, func() error { return os.RemoveAll(profile) }) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // the tests run as root
		chromedp.DisableGPU,
		chromedp.UserDataDir(profile),
		chromedp.WindowSize(1280, 1080),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", fmt.Sprintf("MAP * %s, EXCLUDE 127.0.0.1", world.at)), // but for what a command serves here
	)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	// The browser may be newer than the library, and send messages that the library does not know.
	ctx, stop = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	return ctx
}

// do runs actions one after the other, each with a sentence for the error.
func do(ctx context.Context, t *testing.T, steps ...any) {
	t.Helper()
	for i := 0; i+1 < len(steps); i += 2 {
		if err := chromedp.Run(ctx, steps[i+1].(chromedp.Action)); err != nil {
			picture(ctx, t, "failure.png")
			t.Fatalf("%s: %v", steps[i], err)
		}
	}
}

// picture keeps a screenshot of the window.
func picture(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	var image []byte
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&image)); err != nil {
		t.Errorf("screenshot: %v", err)
		return
	}
	path := filepath.Join(world.out, name)
	if err := os.WriteFile(path, image, 0o644); err != nil {
		t.Error(err)
		return
	}
	t.Logf("screenshot: %s", path)
}

func inABrowser(t *testing.T) {
	for _, text := range []string{
		"Planted the tomatoes on the balcony. The basil from last year came back by itself, which nobody expected.",
		"Long call with Alice about the garden plan.\n\nTo do:\n– ask Bob for the wheelbarrow\n– order soil",
		"Rain all day. Finished the book.",
	} {
		write(t, text)
	}
	text := unique("Coffee at the café with Bob – the shed has a plan now.")
	// The test deletes what it types. If it fails before that, the cleanup does.
	t.Cleanup(func() {
		all, err := list()
		if err != nil {
			t.Error(err)
		}
		for id, e := range all {
			if strings.Contains(e.Text, text) {
				erase(t, []string{id})
			}
		}
	})

	ctx := openBrowser(t)
	entryWith := func(text string) string {
		return fmt.Sprintf(`//li[contains(@class,"entry")][.//p[@class="text" and .=%q]]`, text)
	}
	const composer = "#new-text"
	do(ctx, t,
		"open the page", chromedp.Navigate(world.outputs.URL),
		"wait until one can write", chromedp.WaitEnabled(composer),
		"wait for the list", chromedp.WaitVisible(entryWith("Rain all day. Finished the book.")),
		"type an entry", chromedp.SendKeys(composer, text),
		"save it", chromedp.Click("#new-save"),
		"see it in the list", chromedp.WaitVisible(entryWith(text)),
		"see that the composer is empty", chromedp.Poll(`document.querySelector("#new-text").value === ""`, nil),
		"load the page again", chromedp.Reload(),
		"see it still", chromedp.WaitVisible(entryWith(text)),
	)
	picture(ctx, t, "desktop.png")

	edited := text + ", and changed it"
	do(ctx, t,
		"edit the entry", chromedp.Click(entryWith(text)+`//button[@data-do="edit"]`),
		"type more", chromedp.SendKeys(`.editor textarea`, kb.End+", and changed it"),
		"save the change", chromedp.Click(`.editor button.primary`),
		"see the change", chromedp.WaitVisible(entryWith(edited)),
	)

	// The API is out of reach: the page says so, keeps the typed text, and saves it when the API is back.
	later := text + " <b>Typed</b> while away 🌱"
	do(ctx, t,
		"go offline", chromedp.ActionFunc(func(ctx context.Context) error { return offline(ctx, true) }),
		"type another entry", chromedp.SendKeys(composer, later),
		"try to save it", chromedp.Click("#new-save"),
		"see that the journal is away", chromedp.WaitVisible("#away"),
		"see that the text is kept", chromedp.Poll(fmt.Sprintf(`document.querySelector("#new-text").value === %q`, later), nil),
	)
	picture(ctx, t, "away.png")
	do(ctx, t,
		"go online", chromedp.ActionFunc(func(ctx context.Context) error { return offline(ctx, false) }),
		"see it saved", chromedp.WaitVisible(entryWith(later)),
		"see that the journal is back", chromedp.WaitNotVisible("#away"),
	)

	do(ctx, t,
		"take a phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)),
		"load the page on it", chromedp.Reload(),
		"see the entry on it", chromedp.WaitVisible(entryWith(edited)),
		"scroll nowhere sideways", chromedp.Poll(`document.documentElement.scrollWidth <= window.innerWidth`, nil),
	)
	picture(ctx, t, "phone.png")

	for _, text := range []string{edited, later} {
		do(ctx, t,
			"delete the entry", chromedp.Click(entryWith(text)+`//button[@data-do="delete"]`),
			"mean it", chromedp.Click(`#delete button[value="delete"]`),
			"see it gone", chromedp.WaitNotPresent(entryWith(text)),
		)
	}
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.Contains(e.Text, text) {
			t.Errorf("the entry that was deleted in the browser is still there: %+v", e)
		}
	}
}

func offline(ctx context.Context, yes bool) error {
	if err := network.Enable().Do(ctx); err != nil {
		return err
	}
	return network.EmulateNetworkConditions(yes, 0, -1, -1).Do(ctx)
}
