// Package web holds the page of `starling dev`, built by build.sh into dist and
// embedded. Nothing of it comes from elsewhere at run time.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// SourcesFile is the file in dist that names the sources it was built from.
const SourcesFile = "sources.sha256"

// asset is one file of the page with its encodings, the smallest first.
type asset struct {
	contentType string
	cache       string
	etag        string
	encodings   []encoding
}

type encoding struct {
	name string // as in Accept-Encoding; "" for the plain one
	body []byte
}

// suffixes of compressed files, by encoding, the smallest first.
var suffixes = []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// types of files that systems name differently or not at all.
var types = map[string]string{
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

var assets = sync.OnceValue(load)

// load reads all assets by their URL path.
func load() map[string]*asset {
	found := make(map[string]*asset)
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || isCompressed(name) || path.Base(name) == SourcesFile {
			return err
		}
		a, err := read(name)
		found[strings.TrimPrefix(name, "dist")] = a
		return err
	})
	if err != nil {
		panic(err) // cannot happen: the files are part of the program
	}
	found["/"] = found["/index.html"]
	return found
}

func isCompressed(name string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(name, s.suffix) {
			return true
		}
	}
	return false
}

func read(name string) (*asset, error) {
	plain, err := dist.ReadFile(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	a := &asset{contentType: contentType(name), cache: "no-cache", etag: hex.EncodeToString(sum[:12])}
	if strings.HasPrefix(name, "dist/assets/") { // their names have a hash of what is in them
		a.cache = "public, max-age=31536000, immutable"
	}
	for _, s := range suffixes {
		if body, err := dist.ReadFile(name + s.suffix); err == nil {
			a.encodings = append(a.encodings, encoding{s.encoding, body})
		}
	}
	a.encodings = append(a.encodings, encoding{"", plain})
	return a, nil
}

func contentType(name string) string {
	extension := path.Ext(name)
	if t, ok := types[extension]; ok {
		return t
	}
	if t := mime.TypeByExtension(extension); t != "" {
		return t
	}
	return "application/octet-stream"
}

// Handler serves the page at "/" and what belongs to it. It is safe for
// concurrent use.
func Handler() http.Handler {
	return http.HandlerFunc(serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
		return
	}
	a, ok := assets()[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	a.serve(w, r)
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	chosen := a.choose(r.Header.Get("Accept-Encoding"))
	etag := `"` + a.etag + chosen.name + `"`
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.cache)
	h.Set("ETag", etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", contentSecurityPolicy(r.Host))
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if chosen.name != "" {
		h.Set("Content-Encoding", chosen.name)
	}
	h.Set("Content-Length", strconv.Itoa(len(chosen.body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(chosen.body) // a reader that went away misses nothing else
	}
}

// choose gives the smallest encoding that the header accepts.
func (a *asset) choose(accept string) encoding {
	for _, e := range a.encodings {
		if e.name == "" || accepts(accept, e.name) {
			return e
		}
	}
	return a.encodings[len(a.encodings)-1]
}

func accepts(header, name string) bool {
	for part := range strings.SplitSeq(header, ",") {
		token, parameters, _ := strings.Cut(part, ";")
		if strings.TrimSpace(token) == name {
			return strings.ReplaceAll(parameters, " ", "") != "q=0"
		}
	}
	return false
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9.\-]+(:\d+)?$|^\[[0-9A-Fa-f:.]+\](:\d+)?$`)

// contentSecurityPolicy lets the page load only its own parts and talk only to
// the server that it came from. Some browsers do not take 'self' for websockets.
func contentSecurityPolicy(host string) string {
	connect := "'self'"
	if hostPattern.MatchString(host) {
		connect += fmt.Sprintf(" ws://%s wss://%s", host, host)
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; worker-src 'self'; connect-src " +
		connect + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
