//go:build e2e

package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
)

// entry is a journal entry as the API shows it.
type entry struct {
	ID      string `json:"id"`
	Text    string `json:"text"`
	Version int    `json:"version"`
}

// ask sends one request through the Ingress and decodes the answer into result, if that is not nil.
func ask(method, path string, body, result any, headers ...string) (status int, err error) {
	status, text, err := send(method, path, body, headers...)
	if err != nil {
		return 0, err
	}
	if result != nil && status < 300 {
		if err := json.Unmarshal(text, result); err != nil {
			return status, fmt.Errorf("%s %s: %w: %s", method, path, err, text)
		}
	}
	return status, nil
}

// send is ask for callers that want the text of the answer.
func send(method, path string, body any, headers ...string) (status int, answer []byte, err error) {
	return sendTo(method, world.outputs.URL+path, body, headers...)
}

// sendTo is send to the address of any journal.
func sendTo(method, address string, body any, headers ...string) (status int, answer []byte, err error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, address, content)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := world.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// mustAsk sends a request and fails the test unless the answer has this status.
func mustAsk(t *testing.T, want int, method, path string, body, result any) {
	t.Helper()
	if status, err := ask(method, path, body, result); err != nil || status != want {
		t.Fatalf("%s %s: status %d (%v), not %d", method, path, status, err, want)
	}
}

// write creates an entry that is deleted when the test ends.
func write(t *testing.T, text string) entry {
	t.Helper()
	var created entry
	mustAsk(t, http.StatusCreated, http.MethodPost, "api/entries", map[string]string{"text": text}, &created)
	t.Cleanup(func() { erase(t, []string{created.ID}) })
	return created
}

// list reads all entries, page by page.
func list() (map[string]entry, error) {
	all := map[string]entry{}
	for cursor := ""; ; {
		var page struct {
			Entries    []entry `json:"entries"`
			NextCursor string  `json:"nextCursor"`
		}
		path := "api/entries?limit=100"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		if status, err := ask(http.MethodGet, path, nil, &page); err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("list entries: status %d (%w)", status, err)
		}
		for _, e := range page.Entries {
			all[e.ID] = e
		}
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

// erase deletes entries. It accepts that some are already gone.
func erase(t *testing.T, ids []string) {
	t.Helper()
	queue := make(chan string)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for id := range queue {
				status, err := ask(http.MethodDelete, "api/entries/"+id, nil, nil)
				if err != nil || status != http.StatusNoContent && status != http.StatusNotFound {
					t.Errorf("delete entry %s: status %d (%v)", id, status, err)
				}
			}
		})
	}
	for _, id := range ids {
		queue <- id
	}
	close(queue)
	group.Wait()
}

// unique returns a text that no other test and no other run uses.
func unique(text string) string { return text + " " + rand.Text()[:8] }
