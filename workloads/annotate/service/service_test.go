package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/model"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// testModels are those that come with the program unless a test sets others.
var testModels *model.Models

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memoryStore keeps annotations in memory.
type memoryStore struct {
	mu   sync.Mutex
	kept [][]byte
}

func (m *memoryStore) Keep(answer []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, bytes.Clone(answer))
	return true
}

type testServer struct {
	*Service
	url   string
	store *memoryStore
}

func testConfig() Config {
	return Config{MaxDocument: 1 << 20, SplitAbove: 64 << 10, Streams: 8, InFlight: 64, Entities: 1000, Subscribers: 2, Keep: 10}
}

// start serves over a real listener. Workflows are soft unless a file says
// otherwise, so that a slow machine does not matter.
func start(t testing.TB, c Config, d Deps) *testServer {
	t.Helper()
	if c.Workflows == "" {
		c.Workflows = write(t, `
[[workflow]]
name = "default"
deadline = "10m"
topic = [{ name = "business", words = ["company", "market", "bank", "profit"] }]
step = [{ function = "knowledge" }, { function = "topics" }, { function = "sentiment" },
  { function = "summary", optional = 1 }, { function = "keyphrases", optional = 2 }]
[[workflow]]
name = "short"
deadline = "10m"
step = [{ function = "tokens" }]
[[workflow]]
name = "bad"
deadline = "10m"
step = [{ function = "bad" }, { function = "language" }]
[[workflow]]
name = "impossible"
deadline = "1ms"
hard = true
step = [{ function = "tokens" }]
`)
	}
	bad := workflow.Function[pipeline.Job]{Name: "bad", Needs: []string{"tokens"}, Run: func(r *workflow.Run[pipeline.Job]) error {
		switch string(r.Document.Text) {
		case "panic":
			panic("told to")
		case "error":
			return errors.New("told to fail")
		}
		return nil
	}}
	scheduler := invoke.New(invoke.Config{Workers: 2})
	store := &memoryStore{}
	d.Scheduler, d.Store = scheduler, store
	if d.Registerer == nil {
		d.Registerer = prometheus.NewRegistry()
	}
	d.Pipeline.Models = testModels
	d.Pipeline.Functions = append(d.Pipeline.Functions, bad)
	s, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Config.ConnContext = WithConnection
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		s.Close()
		server.CloseClientConnections()
		server.Close()
		_ = scheduler.Close(context.Background())
		http.DefaultClient.CloseIdleConnections()
	})
	return &testServer{s, server.URL, store}
}

func write(t testing.TB, file string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workflows.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answerJSON is an answer as a client reads it.
type answerJSON struct {
	ID       string `json:"id"`
	Workflow string `json:"workflow"`
	Line     int    `json:"line"`
	Language *struct {
		Code       string
		Confidence float64
	} `json:"language"`
	Tokens []struct {
		Start, End int
		Tag        string
	} `json:"tokens"`
	Sentences  []struct{ Start, End int } `json:"sentences"`
	Keyphrases []struct {
		Start, End, Count int
		Text              string
		Score             float64
	} `json:"keyphrases"`
	Entities []struct {
		Start, End, Seen   int
		Text, Kind, Entity string
		Score              float64
	} `json:"entities"`
	Topics []struct {
		Topic string
		Score float64
	} `json:"topics"`
	Sentiment *struct{ Score float64 }   `json:"sentiment"`
	Embedding []float64                  `json:"embedding"`
	Summary   []struct{ Start, End int } `json:"summary"`
	Functions map[string]string          `json:"functions"`
	Late      bool                       `json:"late"`
	TookUs    int                        `json:"took_us"`
	Error     *struct {
		Code, Message, Function, Cause string
		Retryable                      bool
		RetryAfterMs                   int `json:"retry_after_ms"`
	} `json:"error"`
	Missed int `json:"missed"`
}

func parse(t testing.TB, b []byte) (a answerJSON) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return a
}

func (s *testServer) post(t testing.TB, kind, path, body string) (*http.Response, answerJSON) {
	t.Helper()
	r, err := http.Post(s.url+path, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, parse(t, b)
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

const story = "Maria Lopez of Acme Corp. visited Paris. The company said that its profit on the market had risen, said the bank.\n\nIt rained."

func TestOneDocument(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	r, a := s.post(t, "application/json", "/v1/annotate?include=tokens,embedding", `{"id":"a\u00e91","text":`+quoted(story)+`}`)
	if r.StatusCode != 200 || a.ID != "aé1" || a.Workflow != "default" || a.Error != nil || a.Late {
		t.Fatalf("%d %+v", r.StatusCode, a)
	}
	if a.Language == nil || a.Language.Code != "en" || len(a.Sentences) != 3 || len(a.Tokens) < 20 || a.Sentiment == nil || len(a.Embedding) == 0 || len(a.Summary) != 1 {
		t.Errorf("%+v", a)
	}
	if a.Tokens[0].Start != 0 || a.Tokens[0].End != 5 || a.Sentences[2].Start != strings.Index(story, "It") || a.Sentences[2].End != len(story) {
		t.Errorf("%+v %+v", a.Tokens[0], a.Sentences)
	}
	for _, e := range a.Entities {
		if strings.Join(strings.Fields(story[e.Start:e.End]), " ") != strings.Join(strings.Fields(e.Text), " ") || len(e.Entity) != 16 {
			t.Errorf("%+v", e)
		}
	}
	if len(a.Functions) != 0 {
		t.Errorf("functions %v", a.Functions)
	}
}

func TestForms(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	html := "<p>AT&amp;T said <b>hello</b>.</p>"
	for _, c := range []struct{ kind, path, body string }{
		{"text/html; charset=utf-8", "/v1/annotate?include=tokens&id=x&workflow=short", html},
		{"application/json", "/v1/annotate?include=tokens", `{"id":"x","workflow":"short","text":` + quoted(html) + `}`},
		{"application/json", "/v1/annotate?include=tokens", `{"id":"x","workflow":"short","format":"html","text":` + quoted(html) + `}`},
	} {
		_, a := s.post(t, c.kind, c.path, c.body)
		if a.ID != "x" || a.Workflow != "short" || len(a.Tokens) != 4 {
			t.Fatalf("%v: %+v", c, a)
		}
		if got := html[a.Tokens[0].Start:a.Tokens[0].End]; got != "AT&amp;T" {
			t.Errorf("the first token is %q", got)
		}
		if a.Language != nil || a.Sentiment != nil {
			t.Errorf("fields of functions that are not in the workflow: %+v", a)
		}
	}
	if _, a := s.post(t, "text/plain", "/v1/annotate?include=tokens&workflow=short", html); len(a.Tokens) < 10 {
		t.Errorf("plain text was taken for HTML: %+v", a)
	}
	if _, a := s.post(t, "text/plain", "/v1/annotate", ""); a.Error != nil || len(a.Sentences) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestOtherLanguages(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	_, a := s.post(t, "text/plain", "/v1/annotate?include=tokens", "Привет, мир! Это не очень длинный текст, и он на русском.")
	if a.Language == nil || a.Language.Code != "ru" || len(a.Tokens) == 0 || len(a.Sentences) != 2 || a.Sentiment != nil {
		t.Errorf("%+v", a)
	}
	for _, f := range []string{"speech", "entities", "knowledge", "sentiment", "summary", "keyphrases", "topics", "embedding"} {
		if a.Functions[f] != "skipped" {
			t.Errorf("%s: %q", f, a.Functions[f])
		}
	}
}

func TestWrongRequests(t *testing.T) {
	c := testConfig()
	c.MaxDocument = 1000
	s := start(t, c, Deps{})
	for _, w := range []struct {
		kind, path, body, code string
		status                 int
	}{
		{"application/json", "/v1/annotate", `{"text":"x"`, "invalid", 400},
		{"application/json", "/v1/annotate", `{"text":"x","colour":"red"}`, "invalid", 400},
		{"application/json", "/v1/annotate", `{"id":"x"}`, "invalid", 400},
		{"application/json", "/v1/annotate", ``, "invalid", 400},
		{"application/json", "/v1/annotate", `{"text":"x","workflow":"none"}`, "invalid", 400},
		{"application/json", "/v1/annotate", `{"text":"x","format":"pdf"}`, "invalid", 400},
		{"application/json", "/v1/annotate?include=all", `{"text":"x"}`, "invalid", 400},
		{"text/plain", "/v1/annotate", "\xff\xfe", "invalid", 400},
		{"text/plain", "/v1/annotate?colour=red", "x", "invalid", 400},
		{"text/plain", "/v1/annotate?store=yes", "x", "invalid", 400},
		{"text/plain", "/v1/annotate?id=%zz", "x", "invalid", 400},
		{"application/json", "/v1/annotate?workflow=default", `{"text":"x"}`, "invalid", 400},
		{"application/x-ndjson", "/v1/annotate?deadline=1s", `{"text":"x"}`, "invalid", 400},
		{"text/plain", "/v1/annotate", strings.Repeat("x", 1001), "too_large", 413},
		{"application/json", "/v1/annotate", `{"text":"` + strings.Repeat("x", 1001) + `"}`, "too_large", 413},
		{"application/json", "/v1/annotate", `{"text":"` + strings.Repeat("x", 100_000) + `"}`, "too_large", 413},
		{"image/png", "/v1/annotate", "x", "unsupported_media_type", 415},
		{"text/plain; charset=latin1", "/v1/annotate", "x", "unsupported_media_type", 415},
		{"application/json", "/v1/annotate", `{"text":"panic","workflow":"bad"}`, "function_failed", 500},
		{"application/json", "/v1/annotate", `{"text":"error","workflow":"bad"}`, "function_failed", 500},
	} {
		r, a := s.post(t, w.kind, w.path, w.body)
		if r.StatusCode != w.status || a.Error == nil || a.Error.Code != w.code || a.Error.Retryable || a.Error.Message == "" {
			t.Errorf("%s %s %.60q: %d %+v", w.kind, w.path, w.body, r.StatusCode, a)
		}
		if w.code == "function_failed" && (a.Error.Function != "bad" || a.Functions["bad"] == "" || a.Language == nil) {
			t.Errorf("%+v", a)
		}
	}
	if _, a := s.post(t, "application/json", "/v1/annotate", `{"text":"fine","workflow":"bad"}`); a.Error != nil {
		t.Errorf("%+v", a.Error)
	}
	for path, want := range map[string]struct {
		status int
		code   string
	}{"/v1/annotate": {405, "method_not_allowed"}, "/v1/annotate/other": {404, "not_found"}, "/v1/entities/": {404, "not_found"}} {
		r, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		var a answerJSON
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil || r.StatusCode != want.status || a.Error == nil || a.Error.Code != want.code || a.Error.Message == "" {
			t.Errorf("GET %s: %v %v %+v", path, r.StatusCode, err, a.Error)
		}
		if r.StatusCode == http.StatusMethodNotAllowed && r.Header.Get("Allow") != "POST" {
			t.Errorf("Allow: %q", r.Header.Get("Allow"))
		}
		r.Body.Close()
	}
}

func TestUnknownParametersAreNamed(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	for path, name := range map[string]string{"/v1/annotate/workflows?a=1": "a", "/v1/annotations?flow=x": "flow", "/v1/entities/00000000000000ff?with=1": "with"} {
		r, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), `\"`+name+`\"`) {
			t.Errorf("%s: %d %s", path, r.StatusCode, b)
		}
	}
	for _, c := range []struct{ query, kind, body, want string }{
		{"?format=html", "text/plain", "a", "Content-Type"},
		{"?flow=x", "text/plain", "a", "workflow, source, store"},
		{"?format=html", "application/json", `{"text":"a"}`, "field of the document"},
		{"?workflow=none", "text/plain", "a", "want one of " + s.order[0].Name},
	} {
		r, err := http.Post(s.url+"/v1/annotate"+c.query, c.kind, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), c.want) {
			t.Errorf("%+v: %d %s", c, r.StatusCode, b)
		}
	}
}

// A client that sends all before it reads sees why its body was refused.
func TestBodyThatIsTooLargeIsAnswered(t *testing.T) {
	c := testConfig()
	c.MaxDocument = 1000
	s := start(t, c, Deps{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 16 << 20 // more than the sockets hold
	_, err = fmt.Fprintf(conn, "POST /v1/annotate HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	if err == nil {
		_, err = conn.Write(make([]byte, size))
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != http.StatusRequestEntityTooLarge || !r.Close {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatCannotMeetItsDeadlineIsRefusedAtArrival(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	r, a := s.post(t, "application/json", "/v1/annotate", `{"id":"x","text":"`+strings.Repeat("word ", 100_000)+`","workflow":"impossible"}`)
	if r.StatusCode != 413 || a.Error == nil || a.Error.Code != "too_large" || a.Error.Retryable || !strings.Contains(a.Error.Message, "due after") {
		t.Errorf("%d %+v", r.StatusCode, a)
	}
}

// TestStream: over HTTP/1.1, where answers go to the connection itself, and over HTTP/2.
func TestStream(t *testing.T) {
	for name, protocols := range map[string]func(*http.Protocols, bool){
		"HTTP/1.1": (*http.Protocols).SetHTTP1, "HTTP/2": (*http.Protocols).SetUnencryptedHTTP2,
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{Protocols: new(http.Protocols)}
			protocols(transport.Protocols, true)
			testStream(t, &http.Client{Transport: transport})
			transport.CloseIdleConnections()
		})
	}
}

func testStream(t *testing.T, client *http.Client) {
	s := start(t, testConfig(), Deps{})
	in, out := io.Pipe()
	q, _ := http.NewRequest("POST", s.url+"/v1/annotate?include=tokens", in)
	q.Header.Set("Content-Type", "application/x-ndjson")
	r, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answers := bufio.NewReader(r.Body)
	read := func() answerJSON {
		b, err := answers.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, b)
	}
	send := func(line string) {
		if _, err := io.WriteString(out, line); err != nil {
			t.Error(err)
		}
	}
	send(`{"id":"1","text":` + quoted(story) + "}\r\n")
	if a := read(); a.ID != "1" || len(a.Tokens) == 0 || a.Error != nil { // answered while the stream is open
		t.Fatalf("%+v", a)
	}
	send("\n{\"id\":\"2\",\"text\":1}\n")
	if a := read(); a.Error == nil || a.Error.Code != "invalid" || a.Line != 3 || a.ID != "2" {
		t.Errorf("%+v", a)
	}
	const n = 500
	go func() {
		for i := range n {
			text := story
			if i%10 == 0 {
				text = "panic"
			}
			flow := "default"
			if i%5 == 0 {
				flow = "bad"
			}
			send(fmt.Sprintf("{\"id\":\"d%d\",\"workflow\":%q,\"text\":%s}\n", i, flow, quoted(text)))
		}
		send(`{"id":"last","text":"no newline"}`)
		out.Close()
	}()
	seen := map[string]bool{}
	for range n + 1 {
		a := read()
		if seen[a.ID] {
			t.Errorf("%s was answered twice", a.ID)
		}
		seen[a.ID] = true
		if a.Error != nil && a.Error.Code != "function_failed" {
			t.Errorf("%+v", a.Error)
		}
	}
	if _, err := answers.ReadByte(); err != io.EOF || !seen["last"] || !seen["d499"] {
		t.Errorf("the stream does not end: %v", err)
	}
}

func TestStreamOfAGiantLineEnds(t *testing.T) {
	c := testConfig()
	c.MaxDocument = 1000
	s := start(t, c, Deps{})
	r, err := http.Post(s.url+"/v1/annotate", "application/x-ndjson", strings.NewReader(`{"id":"1","text":"x"}`+"\n"+`{"text":"`+strings.Repeat("x", 1<<20)+`"}`+"\n"+`{"text":"never"}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	codes := map[string]int{}
	for _, l := range lines {
		if a := parse(t, []byte(l)); a.Error != nil {
			codes[a.Error.Code] = a.Line
		}
	}
	if codes["too_large"] != 2 {
		t.Errorf("%q", lines)
	}
}

func TestStreamOfWhoDoesNotReadIsNotReadFrom(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	in, out := io.Pipe()
	q, _ := http.NewRequest("POST", s.url+"/v1/annotate?include=tokens,embedding", in)
	q.Header.Set("Content-Type", "application/x-ndjson")
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.DefaultClient.Do(q.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	line := `{"text":` + quoted(strings.Repeat(story+" ", 50)) + "}\n"
	var sent int
	stuck := make(chan struct{})
	moved := make(chan struct{}, 1)
	go func() {
		defer close(stuck)
		for {
			if _, err := io.WriteString(out, line); err != nil {
				return
			}
			sent += len(line)
			select {
			case moved <- struct{}{}:
			default:
			}
		}
	}()
	for still := false; !still; { // until nothing is taken any more
		timer := time.NewTimer(time.Second)
		select {
		case <-moved:
		case <-timer.C:
			still = true
		}
		timer.Stop()
	}
	cancel()
	r.Body.Close()
	out.CloseWithError(io.ErrClosedPipe)
	<-stuck
	if sent > 200<<20 {
		t.Errorf("%d bytes were taken", sent)
	}
}

func TestStopEndsStreams(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	in, out := io.Pipe()
	defer out.Close()
	q, _ := http.NewRequest("POST", s.url+"/v1/annotate", in)
	q.Header.Set("Content-Type", "application/x-ndjson")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	s.Close()
	if b, err := io.ReadAll(r.Body); err != nil || len(b) != 0 {
		t.Errorf("%q %v", b, err)
	}
	_, a := s.post(t, "text/plain", "/v1/annotate", "x")
	if a.Error == nil || a.Error.Code != "closed" || !a.Error.Retryable || a.Error.RetryAfterMs < 1 {
		t.Errorf("%+v", a)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	c := testConfig()
	c.Streams = 1
	s := start(t, c, Deps{})
	in, out := io.Pipe()
	q, _ := http.NewRequest("POST", s.url+"/v1/annotate", in)
	q.Header.Set("Content-Type", "application/x-ndjson")
	first, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	r, a := s.post(t, "application/x-ndjson", "/v1/annotate", "")
	if r.StatusCode != 429 || a.Error.Code != "too_many_streams" || !a.Error.Retryable || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %+v", r.StatusCode, a)
	}
	out.Close()
	_, _ = io.ReadAll(first.Body)
	first.Body.Close()
}

func TestTokens(t *testing.T) {
	now := time.Now()
	asked := 0
	s := start(t, testConfig(), Deps{Verify: func(token string, _ time.Time) (Identity, error) {
		asked++
		switch token {
		case "good":
			return Identity{Name: "ada", Expires: now.Add(time.Hour)}, nil
		case "listener":
			return Identity{Name: "bob", Scopes: []string{SubscribeScope}, Expires: now.Add(time.Hour)}, nil
		}
		return Identity{}, errors.New("token not valid")
	}})
	get := func(method, path, token string) int {
		q, _ := http.NewRequest(method, s.url+path, strings.NewReader("x"))
		q.Header.Set("Content-Type", "text/plain")
		if token != "" {
			q.Header.Set("Authorization", token)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r, err := http.DefaultClient.Do(q.WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	for _, c := range []struct {
		method, path, token string
		status              int
	}{
		{"POST", "/v1/annotate", "", 401}, {"POST", "/v1/annotate", "Bearer bad", 401}, {"POST", "/v1/annotate", "Basic good", 401},
		{"POST", "/v1/annotate", "Bearer good", 200}, {"POST", "/v1/annotate", "bearer good", 200},
		{"GET", "/v1/annotations", "Bearer good", 403}, {"GET", "/v1/annotations", "Bearer listener", 200}, {"GET", "/v1/annotations", "", 401},
		{"GET", "/v1/entities/0000000000000001", "Bearer good", 403}, {"GET", "/v1/entities/0000000000000001", "Bearer listener", 404},
		{"GET", "/v1/entities/x", "Bearer listener", 400}, {"GET", "/v1/annotate/workflows", "Bearer good", 200}, {"GET", "/v1/annotate/workflows", "", 401},
	} {
		if got := get(c.method, c.path, c.token); got != c.status {
			t.Errorf("%v: %d", c, got)
		}
	}
	if asked != 3 { // bad, good, listener: good ones are remembered for a while
		t.Errorf("asked %d times", asked)
	}
}
