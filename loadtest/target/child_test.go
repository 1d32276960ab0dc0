package target

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a child warns of is passed on as a line, not as the JSON of its log.
func TestWarningsOfAChildAreLines(t *testing.T) {
	var out bytes.Buffer
	c := &child{log: slog.New(slog.NewTextHandler(&out, nil))}
	serving := make(chan string, 1)
	c.readLog(strings.NewReader(`{"level":"WARN","msg":"too early to tell"}
{"level":"INFO","msg":"serving","listen":"127.0.0.1:1"}
{"time":"2026-11-23T14:00:00Z","level":"ERROR","msg":"an append failed","shard":"8a","tries":3,"error":"no space left","at":{"n":1}}
{"level":"INFO","msg":"all is well"}
panic: oh no
`), serving)
	if got := <-serving; got != "127.0.0.1:1" {
		t.Errorf("serves at %q", got)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " ") // the time
		lines = append(lines, line)
	}
	want := `level=ERROR msg="the server says: an append failed" at="{\"n\":1}" error="no space left" shard=8a tries=3
level=WARN msg="the server says: panic: oh no"`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAddressesThatAreNotOfMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			_, _ = w.Write([]byte("process_cpu_seconds_total 1.5\n"))
		case "/others":
			_, _ = w.Write([]byte("up 1\n"))
		case "/":
			_, _ = w.Write([]byte("<html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	if err := NewRemote([]string{server.URL + "/metrics"}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	for address, why := range map[string]string{
		server.URL + "/others": "no process_cpu_seconds_total", server.URL + "/": "<html>", server.URL + "/nothing": "404", "127.0.0.1:1/metrics": "",
	} {
		err := NewRemote([]string{server.URL + "/metrics", address}).Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "--server-metrics "+address) || !strings.Contains(err.Error(), "give the address of /metrics") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
