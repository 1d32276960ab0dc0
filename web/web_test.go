package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources are what the page is built from, from the root of the repository.
// build.sh has the same list.
var sources = []string{
	"clients/js/package-lock.json", "clients/js/src", "web/index.html", "web/package-lock.json", "web/public", "web/src", "web/tsconfig.json",
	"web/vite.config.js",
}

// A page that was not built after its sources changed would show what nobody
// can find in them.
func TestDistIsNotStale(t *testing.T) {
	built, err := dist.ReadFile("dist/" + SourcesFile)
	if err != nil {
		t.Fatal(err)
	}
	if now := hashOfSources(t); strings.TrimSpace(string(built)) != now {
		t.Fatalf("web/dist was built from other sources (%s, now %s): run web/build.sh", strings.TrimSpace(string(built)), now)
	}
}

// hashOfSources is the SHA-256 of what `sha256sum` prints for the files in the
// order of their paths.
func hashOfSources(t *testing.T) string {
	root := os.DirFS("..")
	var files []string
	for _, source := range sources {
		err := fs.WalkDir(root, source, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(files)
	all := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(all, "%x  %s\n", sha256.Sum256(text), name)
	}
	return hex.EncodeToString(all.Sum(nil))
}

func get(t *testing.T, method, target string, header http.Header) *http.Response {
	t.Helper()
	request := httptest.NewRequest(method, target, nil)
	request.Host = "127.0.0.1:8080"
	for name, values := range header {
		request.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

func TestPageAndItsPartsHaveTheirTypes(t *testing.T) {
	want := map[string]string{
		"/": "text/html; charset=utf-8", "/favicon.svg": "image/svg+xml",
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
	}
	for name, a := range assets() {
		expected, ok := want[name]
		if !ok {
			expected = want[filepath.Ext(name)]
		}
		if name == "/index.html" {
			expected = want["/"]
		}
		response := get(t, http.MethodGet, name, nil)
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != expected || len(body) == 0 {
			t.Errorf("%s: status %d, type %q, %d bytes; want type %q", name, response.StatusCode, response.Header.Get("Content-Type"), len(body), expected)
		}
		immutable := strings.Contains(response.Header.Get("Cache-Control"), "immutable")
		if immutable != strings.HasPrefix(name, "/assets/") {
			t.Errorf("%s: Cache-Control %q", name, a.cache)
		}
	}
	if len(assets()) < 5 {
		t.Fatalf("only %d files are embedded", len(assets()))
	}
}

func TestCompressedFormsAreTheSame(t *testing.T) {
	plain, _ := io.ReadAll(get(t, http.MethodGet, "/", nil).Body)
	response := get(t, http.MethodGet, "/", http.Header{"Accept-Encoding": {"deflate, gzip;q=0.9, br;q=0"}})
	if response.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("Content-Encoding %q", response.Header.Get("Content-Encoding"))
	}
	reader, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(reader)
	if err != nil || !bytes.Equal(plain, unpacked) {
		t.Fatalf("gzip holds something else (%v)", err)
	}
	if got := get(t, http.MethodGet, "/", http.Header{"Accept-Encoding": {"gzip, br"}}).Header.Get("Content-Encoding"); got != "br" {
		t.Errorf("Content-Encoding %q, want br", got)
	}
}

func TestKnownContentIsNotSentAgain(t *testing.T) {
	etag := get(t, http.MethodGet, "/", nil).Header.Get("ETag")
	if response := get(t, http.MethodGet, "/", http.Header{"If-None-Match": {etag}}); response.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", response.StatusCode)
	}
}

func TestOnlyThePageIsServed(t *testing.T) {
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{http.MethodGet, "/nothing", http.StatusNotFound},
		{http.MethodGet, "/" + SourcesFile, http.StatusNotFound},
		{http.MethodGet, "/index.html.gz", http.StatusNotFound},
		{http.MethodPost, "/", http.StatusMethodNotAllowed},
		{http.MethodHead, "/", http.StatusOK},
	} {
		response := get(t, c.method, c.target, nil)
		if response.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, response.StatusCode, c.status)
		}
		if body, _ := io.ReadAll(response.Body); c.method == http.MethodHead && len(body) > 0 {
			t.Errorf("HEAD brought %d bytes", len(body))
		}
	}
}

func TestPolicyNamesTheOwnWebsocketAndNothingElse(t *testing.T) {
	policy := get(t, http.MethodGet, "/", nil).Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self' ws://127.0.0.1:8080 wss://127.0.0.1:8080;") {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("policy %q is too wide", policy)
	}
	if evil := contentSecurityPolicy("x; script-src *"); strings.Contains(evil, "*") {
		t.Errorf("a Host header got into the policy: %q", evil)
	}
}
