package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/journal/sandbox/debian"
)

func TestHTMLNamesItsAssetsByTheirContent(t *testing.T) {
	repo := checkout(t)
	html := func(name, text string) { write(t, repo, "services/journal-web/html/"+name, text) }
	html("index.html", `<link href="look.css"> <script src="/js/app.js"></script> <a href="/">`)
	html("404.html", `<link href="/look.css"> <a href="index.html"> <a href="https://journal.example.com/look.css">`)
	html("look.css", "p{}")
	html("js/app.js", "one()")
	html("robots.txt", "")

	before := pageOf(t, repo)
	css, js := before.hashed(t, "look", ".css"), before.hashed(t, "js/app", ".js")
	for name, want := range map[string]string{
		"index.html": fmt.Sprintf(`<link href="%s"> <script src="/%s"></script> <a href="/">`, css, js),
		"404.html":   fmt.Sprintf(`<link href="/%s"> <a href="index.html"> <a href="https://journal.example.com/look.css">`, css),
		"look.css":   "p{}",
		css:          "p{}",
		"js/app.js":  "one()",
		js:           "one()",
		"robots.txt": "",
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(before[htmlFolder+name].Data); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	if len(before) != 8 {
		t.Errorf("files: got %d, want NGINX's configuration and the seven", len(before))
	}

	html("js/app.js", "two()")
	after := pageOf(t, repo)
	if name := after.hashed(t, "js/app", ".js"); name == js || after.hashed(t, "look", ".css") != css {
		t.Errorf("one asset changed: got the names %s and %s, want another one of the script alone", name, after.hashed(t, "look", ".css"))
	}
	if index := htmlFolder + "index.html"; after[index].ModTime.Equal(before[index].ModTime) {
		t.Error("the page names another script, and has the time of the page before: a browser would keep that one")
	}
}

// securityHeaders are the headers of every answer, or how their values begin.
var securityHeaders = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; ",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

func TestNginxServesThePage(t *testing.T) {
	needsDebian(t)
	page := pageOf(t, checkedOut(t))
	css, js, svg := page.hashed(t, "journal", ".css"), page.hashed(t, "journal", ".js"), page.hashed(t, "favicon", ".svg")
	text := func(name string) string { return string(page[htmlFolder+name].Data) }
	nginx := startNginx(t, page)
	etag := func(path string, headers ...string) string {
		tag := nginx.get(t, "GET "+path, headers...).header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no ETag", path)
		}
		return tag
	}

	type headers = map[string]string
	const kept, asked = "public, max-age=31536000, immutable", "no-cache"
	zip, zipped := []string{"Accept-Encoding: gzip"}, headers{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
	unzipped := headers{"Content-Encoding": "", "Vary": "Accept-Encoding"}
	stay, leave := headers{"Strict-Transport-Security": "max-age=31536000"}, headers{"Strict-Transport-Security": ""}
	kind := func(value string) headers { return headers{"Content-Type": value} }
	index, notFound := text("index.html"), text("404.html")
	for _, c := range []struct {
		sentence, request string
		headers           []string
		status            int
		cache             string
		body              string // the whole body, or "" if it does not matter
		want              headers
	}{
		{"the page is asked for each time", "GET /", nil, 200, asked, index, kind("text/html; charset=utf-8")},
		{"the page has a name as well", "GET /index.html", nil, 200, asked, index, nil},
		{"a style sheet is kept under its hash", "GET /" + css, nil, 200, kept, text("journal.css"), kind("text/css")},
		{"a script is kept under its hash", "GET /" + js, nil, 200, kept, text("journal.js"), kind("application/javascript; charset=utf-8")},
		{"an icon is kept under its hash", "GET /" + svg, nil, 200, kept, text("favicon.svg"), kind("image/svg+xml")},
		{"a head alone says the same", "HEAD /" + css, nil, 200, kept, "", nil},
		{"an asset without a hash is asked for each time", "GET /journal.css", nil, 200, asked, text("journal.css"), nil},
		{"the hash of another style sheet gets this one", "GET /journal.0000000000.css", nil, 200, asked, text("journal.css"), nil},
		{"the hash of another script gets this one", "GET /journal.0000000000.js", nil, 200, asked, text("journal.js"), nil},
		{"a hash is no way to an asset that was never there", "GET /other.0000000000.css", nil, 404, asked, notFound, nil},
		{"a hash is no way to the error page", "GET /404.0000000000.html", nil, 404, asked, notFound, nil},
		{"a longer hash is another name", "GET /journal.00000000000.css", nil, 404, asked, notFound, nil},
		{"an unknown path is not found", "GET /nothing", nil, 404, asked, notFound, nil},
		{"the error page has no address of its own", "GET /404.html", nil, 404, asked, notFound, nil},

		{"an ETag spares the page", "GET /", []string{"If-None-Match: " + etag("/")}, 304, asked, "", nil},
		{"an ETag spares an asset, which is still kept", "GET /" + css, []string{"If-None-Match: " + etag("/"+css)}, 304, kept, "", nil},
		{"an ETag of what was compressed does, too", "GET /" + css, append(zip, "If-None-Match: "+etag("/"+css, zip...)), 304, kept, "", nil},
		{"another ETag does not", "GET /" + css, []string{`If-None-Match: "0-0"`}, 200, kept, text("journal.css"), nil},
		{"a range gets the whole", "GET /" + css, []string{"Range: bytes=90000-"}, 200, kept, text("journal.css"), nil},

		{"HTML is compressed when asked", "GET /", zip, 200, asked, "", zipped},
		{"CSS is compressed when asked", "GET /" + css, zip, 200, kept, "", zipped},
		{"JavaScript is compressed when asked", "GET /" + js, zip, 200, kept, "", zipped},
		{"JavaScript is compressed behind a load balancer as well", "GET /" + js, append(zip, "Via: 1.1 proxy"), 200, kept, "", zipped},
		{"JavaScript is not compressed unless asked", "GET /" + js, nil, 200, kept, text("journal.js"), unzipped},

		{"who came by HTTPS is to come back by it", "GET /", []string{"X-Forwarded-Proto: https"}, 200, asked, "", stay},
		{"so is who found nothing there", "GET /nothing", []string{"X-Forwarded-Proto: https"}, 404, asked, "", stay},
		{"who came by HTTP is not", "GET /", []string{"X-Forwarded-Proto: http"}, 200, asked, "", leave},
		{"nor is who came without a proxy", "GET /", nil, 200, asked, "", leave},

		{"nothing can be posted to the page", "POST /", nil, 405, asked, "", nil},
		{"nothing can be posted to an asset, and the refusal is not kept", "POST /" + css, nil, 405, asked, "", nil},
		{"an asset cannot be deleted", "DELETE /" + css, nil, 405, asked, "", nil},
		{"a body of more than a kibibyte is too large", "POST / " + strings.Repeat("x", 1025), nil, 413, asked, "", nil},

		{"there are no settings unless they are mounted", "GET /config.json", nil, 200, asked, "{}\n", kind("application/json")},
		{"NGINX is healthy", "GET /healthz", nil, 200, asked, "ok\n", kind("text/plain; charset=utf-8")},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got := nginx.get(t, c.request, c.headers...)
			if got.status != c.status || c.body != "" && got.body != c.body {
				t.Errorf("got %d and %q, want %d and %q", got.status, got.body, c.status, c.body)
			}
			want := headers{"Cache-Control": c.cache, "Server": "nginx"}
			maps.Copy(want, c.want)
			for name, value := range want {
				if values := got.header.Values(name); strings.Join(values, " and ") != value {
					t.Errorf("%s: got %q, want %q", name, values, value)
				}
			}
			for name, start := range securityHeaders {
				if values := got.header.Values(name); len(values) != 1 || !strings.HasPrefix(values[0], start) {
					t.Errorf("%s: got %q, want one that starts with %q", name, values, start)
				}
			}
		})
	}

	t.Run("settings that are mounted reach the page", func(t *testing.T) {
		write(t, nginx.dir, "etc/journal-web/config.json", `{"title":"Ours"}`)
		got := nginx.get(t, "GET /config.json")
		if got.status != 200 || got.body != `{"title":"Ours"}` || got.header.Get("Cache-Control") != asked {
			t.Errorf("got %d, %q and Cache-Control %q", got.status, got.body, got.header.Get("Cache-Control"))
		}
	})
}

func TestNoClientWritesLinesOfItsOwnIntoNginxsLog(t *testing.T) {
	needsDebian(t)
	nginx := startNginx(t, pageOf(t, checkedOut(t)))
	const line, color = "2026/11/24 12:00:00 [emerg] 1#1: forged", "\x1b[31mforged"
	for _, c := range []struct {
		sentence string
		request  string
		status   int
	}{
		{"a line feed in a path", "GET /none%0a" + url.PathEscape(line), 404},
		{"a carriage return in a path that looks cacheable", "GET /none%0d%0a" + url.PathEscape(line) + ".0123456789.css", 404},
		{"a color in a path", "GET /" + url.PathEscape(color), 404},
		{"a path that is cut off", "GET /" + strings.Repeat("x", 300) + "%0a" + url.PathEscape(line), 404},
		{"a page in front of the line feed", "GET /index.html%0a/" + url.PathEscape(line), 404},
		{"a body that is too large", "POST / " + strings.Repeat("x", 1025), 413},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if got := nginx.get(t, c.request); got.status != c.status {
				t.Errorf("got %d, want %d", got.status, c.status)
			}
		})
	}
	nginx.raw(t, "POST / HTTP/1.1\r\nHost: journal.localhost\r\nReferer: "+color+"\r\nContent-Length: 1025\r\n\r\n")
	nginx.raw(t, "GET / HTTP/1.1\r\nHost: journal.localhost\r\n"+color+": x\r\n\r\n")
	nginx.raw(t, "GET /\x1b[31m HTTP/1.1\r\nHost: "+color+"\r\n\r\n")
	nginx.raw(t, line+"\r\n\r\n")
	lines := nginx.stop(t)
	requests := 0
	for text := range strings.Lines(lines) {
		var entry struct{ Msg, Path string }
		if err := json.Unmarshal([]byte(text), &entry); err != nil || entry.Msg != "request" {
			t.Errorf("a line that is no request: %q", text)
			continue
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("a byte of a terminal's language: %q", text)
		}
		requests++
	}
	if requests < 8 {
		t.Errorf("%d requests are in the log, want all:\n%s", requests, lines)
	}
}

// pageOf returns the page's files as they are in the image.
func pageOf(t *testing.T, repo string) files {
	t.Helper()
	rev, err := readRevision(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	page, err := page(repo, rev)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// checkedOut returns the path of the repository that this file is in.
func checkedOut(t *testing.T) string {
	t.Helper()
	// Go's test cache notices only files whose name begins with the module's folder, as here. It does not see what git reads.
	repository := os.DirFS(os.Getenv("PWD") + "/../..")
	if err := fs.WalkDir(repository, "services", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = fs.Stat(repository, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return "../.."
}

// hashed returns the name by which the HTML refers to an asset, and checks that the hash in it is that of the content.
func (f files) hashed(t *testing.T, stem, extension string) string {
	t.Helper()
	sum := sha256.Sum256(f[htmlFolder+stem+extension].Data)
	name := stem + "." + hex.EncodeToString(sum[:])[:10] + extension
	if !bytes.Contains(f[htmlFolder+"index.html"].Data, []byte(name+`"`)) {
		t.Fatalf("index.html does not name %s:\n%s", name, f[htmlFolder+"index.html"].Data)
	}
	return name
}

// nginx is the image's NGINX on a loopback port, with a folder instead of "/" as the root of the image's files.
type nginx struct {
	dir, address string
	stop         func(*testing.T) (log string) // stops it gracefully
}

// raw sends bytes as they are, and reads until NGINX closes the connection or has answered.
func (n nginx) raw(t *testing.T, request string) {
	t.Helper()
	conn, err := net.Dial("tcp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Read(make([]byte, 1<<10))
}

// startNginx starts NGINX with the image's configuration, in which it changes only the paths and the port.
func startNginx(t *testing.T, page files) nginx {
	t.Helper()
	root, err := debian.Extract(t.Context(), newDir(t).Debian(), io.Discard, "nginx", "nginx")
	if err != nil {
		t.Fatal(err)
	}
	program, err := debian.Wrapper(root, "usr/sbin/nginx")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := nginx{dir: t.TempDir(), address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for path, file := range page {
		write(t, n.dir, path, string(file.Data))
		if err := os.Chtimes(filepath.Join(n.dir, path), file.ModTime, file.ModTime); err != nil {
			t.Fatal(err)
		}
	}
	config, changes := string(page["etc/nginx/nginx.conf"].Data), []string{
		" /etc/nginx/mime.types;", " " + root + "/etc/nginx/mime.types;",
		" /usr/share/nginx/html;", " " + n.dir + "/usr/share/nginx/html;",
		" /etc/journal-web;", " " + n.dir + "/etc/journal-web;",
		" /tmp/", " " + n.dir + "/tmp/",
		" 8080;", " " + n.address + ";",
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(config, changes[i]) {
			t.Fatalf("nginx.conf: %q is not in it any more; have this test replace what is there instead", changes[i])
		}
	}
	write(t, n.dir, "etc/nginx/nginx.conf", strings.NewReplacer(changes...).Replace(config))
	write(t, n.dir, "tmp/.keep", "")

	var log bytes.Buffer
	// If root starts NGINX, its workers run by default as a user who cannot read the test's folder. Other users cannot choose.
	cmd := exec.Command(program, "-e", "stderr", "-g", "daemon off; user root;", "-c", filepath.Join(n.dir, "etc/nginx/nginx.conf"))
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // a test that dies leaves no NGINX behind
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var exit error
	exited := make(chan struct{})
	go func() {
		exit = cmd.Wait()
		close(exited)
	}()
	n.stop = func(t *testing.T) string {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		if <-exited; exit != nil {
			t.Errorf("nginx exited: %v\n%s", exit, log.String())
		}
		return log.String()
	}
	t.Cleanup(func() { n.stop(t) })
	for deadline := time.After(10 * time.Second); ; {
		if conn, err := net.Dial("tcp", n.address); err == nil {
			_ = conn.Close()
			return n
		}
		select {
		case <-exited:
			t.Fatal("nginx has not started")
		case <-deadline:
			t.Fatalf("nginx does not answer on %s in 10 s", n.address)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// answer is a response whose body has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// get sends a request, written as method, path and, if there is one, body. Only a header asks for an encoding.
func (n nginx) get(t *testing.T, request string, headers ...string) answer {
	t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}
