package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAnEntryIsCreatedReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	const text = "Tea with alice.\n\n<b>二</b> cups 🍵"

	created := j.post(text).is(http.StatusCreated)
	entry := created.entry()
	if entry.Text != text || entry.Version != 1 || !entry.UpdatedAt.Equal(entry.CreatedAt) ||
		time.Since(entry.CreatedAt).Abs() > time.Minute {
		t.Errorf("created %+v", entry)
	}
	path := "/api/entries/" + entry.ID
	if created.header.Get("Location") != path || created.header.Get("ETag") != `"1"` {
		t.Errorf("created with the header %v", created.header)
	}
	if read := j.do("GET", path, "").is(http.StatusOK).entry(); read != entry {
		t.Errorf("read %+v, want %+v", read, entry)
	}

	changed := j.do("PUT", path, textBody("Coffee with bob.")).is(http.StatusOK)
	want := entry
	want.Text, want.Version, want.UpdatedAt = "Coffee with bob.", 2, changed.entry().UpdatedAt
	if changed.entry() != want || want.UpdatedAt.Before(want.CreatedAt) || changed.header.Get("ETag") != `"2"` {
		t.Errorf("changed %+v, want %+v", changed.entry(), want)
	}
	if listed := j.list("20"); !slices.Equal(listed, []Entry{want}) {
		t.Errorf("listed %+v, want %+v", listed, want)
	}

	j.do("DELETE", path, "").is(http.StatusNoContent)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		j.do(method, path, textBody("x")).isProblem(http.StatusNotFound)
	}
	if empty := j.do("GET", "/api/entries", ""); string(empty.body) != "{\"entries\":[]}\n" {
		t.Errorf("the empty list is %s", empty.body)
	}
}

func TestTheListIsNewestFirstAndItsPagesStayStableWhileOthersWrite(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	var before []string
	for i := range 25 {
		before = append(before, j.create(fmt.Sprint("entry ", i)).ID)
	}
	slices.Reverse(before)

	stop := j.keepPosting("meanwhile")
	// The entry that a cursor names may be deleted before the cursor is used.
	first := j.do("GET", "/api/entries?limit=7", "").is(http.StatusOK).page()
	j.do("DELETE", "/api/entries/"+first.NextCursor, "").is(http.StatusNoContent)
	rest := j.do("GET", "/api/entries?limit=100&cursor="+first.NextCursor, "").is(http.StatusOK).page()
	listed := slices.Concat(first.Entries, rest.Entries)
	for range 5 {
		j.list("7")
	}
	stop()

	if !slices.IsSortedFunc(listed, func(a, b Entry) int { return cmp.Compare(b.ID, a.ID) }) {
		t.Errorf("not newest first: %+v", listed)
	}
	var old []string
	for _, entry := range listed {
		if entry.Text != "meanwhile" {
			old = append(old, entry.ID)
		}
	}
	if !slices.Equal(old, before) {
		t.Errorf("the pages show %v of what was there before, want %v", old, before)
	}
	all := j.list("100")
	if ids := slices.CompactFunc(slices.Clone(all), func(a, b Entry) bool { return a.ID == b.ID }); len(ids) != len(all) {
		t.Errorf("%d of %d entries are listed twice", len(all)-len(ids), len(all))
	}
}

func TestWhatIsWrongWithARequestIsToldAsAProblem(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	path := "/api/entries/" + j.create("there").ID
	const absent = "/api/entries/01890000-0000-7000-8000-000000000000"

	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		detail             string
	}{
		"no JSON":              {"POST", "/api/entries", "text=x", nil, 400, "body"},
		"empty body":           {"POST", "/api/entries", " ", nil, 400, "body"},
		"half JSON":            {"POST", "/api/entries", `{"text":"x"`, nil, 400, "body"},
		"two objects":          {"POST", "/api/entries", `{"text":"x"}{}`, nil, 400, "follows"},
		"no object":            {"POST", "/api/entries", `["x"]`, nil, 400, "body"},
		"unknown field":        {"POST", "/api/entries", `{"text":"x","title":"y"}`, nil, 400, "title"},
		"text is a number":     {"POST", "/api/entries", `{"text":1}`, nil, 400, "text"},
		"no text":              {"POST", "/api/entries", `{}`, nil, 400, "1 to 10000"},
		"empty text":           {"POST", "/api/entries", textBody(""), nil, 400, "1 to 10000"},
		"blank text":           {"POST", "/api/entries", textBody(" \n\t\u00a0"), nil, 400, "1 to 10000"},
		"too long text":        {"POST", "/api/entries", textBody(strings.Repeat("é", 10_001)), nil, 400, "10001 characters"},
		"blank text in change": {"PUT", path, textBody(" "), nil, 400, "1 to 10000"},
		"too large body":       {"POST", "/api/entries", textBody(strings.Repeat("x", maxBody)), nil, 413, "bytes"},
		"form":                 {"POST", "/api/entries", "text=x", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "application/json"},
		"no type":              {"PUT", path, textBody("x"), []string{"Content-Type: "}, 415, "application/json"},
		"limit 0":              {"GET", "/api/entries?limit=0", "", nil, 400, "1 to 100"},
		"limit 101":            {"GET", "/api/entries?limit=101", "", nil, 400, "1 to 100"},
		"limit two":            {"GET", "/api/entries?limit=two", "", nil, 400, `"two"`},
		"bad cursor":           {"GET", "/api/entries?cursor=next", "", nil, 400, `"next"`},
		"foreign cursor":       {"GET", "/api/entries?cursor=+", "", nil, 400, "cursor"},
		"empty key":            {"POST", "/api/entries", textBody("x"), []string{"Idempotency-Key: "}, 400, "1 to 255"},
		"too long key":         {"POST", "/api/entries", textBody("x"), []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, 400, "1 to 255"},
		"absent":               {"GET", absent, "", nil, 404, "entry"},
		"absent to change":     {"PUT", absent, textBody("x"), []string{`If-Match: "1"`}, 404, "entry"},
		"absent to delete":     {"DELETE", absent, "", nil, 404, "entry"},
		"no id":                {"GET", "/api/entries/1", "", nil, 404, "entry"},
		"id in capitals":       {"GET", strings.ToUpper(absent[len("/api/entries/"):]), "", nil, 404, ""},
		"unknown route":        {"GET", "/api/users", "", nil, 404, "/api/users"},
		"root":                 {"POST", "/", "", nil, 404, "nothing"},
		"no entry named":       {"GET", "/api/entries/", "", nil, 404, "nothing"},
		"patch":                {"PATCH", path, textBody("x"), nil, 405, "PATCH"},
		"delete all":           {"DELETE", "/api/entries", "", nil, 405, "DELETE"},
		"other version":        {"PUT", path, textBody("x"), []string{`If-Match: "2"`}, 412, "changed"},
		"foreign tag":          {"DELETE", path, "", []string{`If-Match: "abc"`}, 412, "changed"},
		"version 0":            {"DELETE", path, "", []string{`If-Match: "0"`}, 412, "changed"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.HasPrefix(test.path, "/") {
				test.path = "/api/entries/" + test.path
			}
			p := j.do(test.method, test.path, test.body, test.headers...).isProblem(test.status)
			if !strings.Contains(p.Detail, test.detail) {
				t.Errorf("detail %q does not mention %q", p.Detail, test.detail)
			}
		})
	}
	if allow := j.do("PATCH", path, "").header.Get("Allow"); allow != "DELETE, GET, HEAD, PUT" {
		t.Errorf("Allow: %s", allow)
	}
	if left := j.list("20"); len(left) != 1 || left[0].Version != 1 {
		t.Errorf("a refused request changed something: %+v", left)
	}
}

func TestTextIsMeasuredInCharactersAndNotInBytes(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	escaped := `{"text":"` + strings.Repeat(`\ud83c\udf75`, 10_000) + `"}`
	entry := j.do("POST", "/api/entries", escaped, "Content-Type: application/json; charset=utf-8").is(http.StatusCreated).entry()
	if read := j.do("GET", "/api/entries/"+entry.ID, "").entry(); read.Text != strings.Repeat("🍵", 10_000) {
		t.Errorf("10000 characters came back as %d bytes", len(read.Text))
	}
}

func TestFiftyEqualPostsWithOneIdempotencyKeyCreateOneEntry(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, nil)
	var mu sync.Mutex
	var ids []string
	first := 0
	var clients sync.WaitGroup
	for range 50 {
		clients.Go(func() {
			got := j.post("once", "Idempotency-Key: the key")
			mu.Lock()
			defer mu.Unlock()
			if got.status != http.StatusCreated {
				t.Errorf("status %d: %s", got.status, got.body)
				return
			}
			ids = append(ids, got.entry().ID)
			if got.header.Get("Idempotency-Replayed") == "" {
				first++
			}
		})
	}
	clients.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 || first != 1 {
		t.Errorf("the answers name %d entries, %d say that they created it; want 1 and 1", len(ids), first)
	}
	if all := j.list("100"); len(all) != 1 {
		t.Errorf("%d entries, want 1", len(all))
	}
	if life := server.client().TTL(t.Context(), receiptPrefix+"key:the key").Val(); life <= 23*time.Hour || life > 24*time.Hour {
		t.Errorf("the key lives for %v, want 24 h", life)
	}
}

func TestARepeatedPostGivesTheEntryAsItWasCreated(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	entry := j.post("once", "Idempotency-Key: k").is(http.StatusCreated).entry()
	path := "/api/entries/" + entry.ID
	j.do("PUT", path, textBody("changed")).is(http.StatusOK)
	if again := j.post("once", "Idempotency-Key: k").is(http.StatusCreated).entry(); again != entry {
		t.Errorf("again %+v, want %+v", again, entry)
	}
	j.do("DELETE", path, "").is(http.StatusNoContent)
	if again := j.post("once", "Idempotency-Key: k").is(http.StatusCreated).entry(); again != entry {
		t.Errorf("again %+v, want %+v", again, entry)
	}
	j.post("another", "Idempotency-Key: k").isProblem(http.StatusUnprocessableEntity)
	if left := j.list("20"); len(left) != 0 {
		t.Errorf("left %+v, want nothing", left)
	}
}

func TestConcurrentWritersWithIfMatchLoseNothing(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	path := "/api/entries/" + j.create("0").ID
	const writers, rounds = 8, 5
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range rounds {
				for {
					read := j.do("GET", path, "")
					if read.status != http.StatusOK {
						t.Errorf("status %d", read.status)
						return
					}
					longer := textBody(read.entry().Text + "+1")
					written := j.do("PUT", path, longer, "If-Match: "+read.header.Get("ETag"))
					if written.status == http.StatusOK {
						break
					}
					if written.status != http.StatusPreconditionFailed {
						t.Errorf("status %d: %s", written.status, written.body)
						return
					}
				}
			}
		})
	}
	all.Wait()
	entry := j.do("GET", path, "").entry()
	if want := "0" + strings.Repeat("+1", writers*rounds); entry.Text != want || entry.Version != writers*rounds+1 {
		t.Errorf("version %d with %q, want %d with %q", entry.Version, entry.Text, writers*rounds+1, want)
	}
	j.do("DELETE", path, "", fmt.Sprintf(`If-Match: "%d"`, entry.Version)).is(http.StatusNoContent)
}
