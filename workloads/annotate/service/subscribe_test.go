package service

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// listen subscribes; next gives the next line that is not empty.
func (s *testServer) listen(t *testing.T, path, accept string) (next func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	q, _ := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	q.Header.Set("Accept", accept)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	if r.StatusCode != 200 {
		t.Fatalf("%s: %d", path, r.StatusCode)
	}
	lines := bufio.NewReader(r.Body)
	return func() string {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != ':' {
				return line
			}
		}
	}
}

func TestSubscribers(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	all := s.listen(t, "/v1/annotations", "")
	news := s.listen(t, "/v1/annotations?source=news&workflow=default", "text/event-stream")
	if r, a := s.get(t, "/v1/annotations"); r != 429 || a.Error.Code != "too_many_streams" {
		t.Errorf("a third subscriber: %d %+v", r, a)
	}
	s.post(t, "application/json", "/v1/annotate", `{"id":"1","text":"hello there"}`)
	s.post(t, "application/json", "/v1/annotate", `{"id":"2","text":"hello there","source":"news"}`)
	s.post(t, "application/json", "/v1/annotate", `{"id":"3","text":"panic","workflow":"bad"}`)
	s.post(t, "application/json", "/v1/annotate", `{"id":"4","text":"hello","workflow":"short"}`)
	for _, want := range []string{"1", "2", "4"} {
		if a := parse(t, []byte(all())); a.ID != want {
			t.Errorf("told of %q, want %q", a.ID, want)
		}
	}
	if event := news(); event != "event: annotations" {
		t.Errorf("%q", event)
	}
	if data, ok := strings.CutPrefix(news(), "data: "); !ok || parse(t, []byte(data)).ID != "2" {
		t.Errorf("%q", data)
	}
	s.Close()
}

func (s *testServer) get(t *testing.T, path string) (int, answerJSON) {
	t.Helper()
	r, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := bufio.NewReader(r.Body).ReadBytes('\n')
	return r.StatusCode, parse(t, b)
}

func TestSlowSubscribersMissAndAreTold(t *testing.T) {
	sub := &subscriber{}
	line := []byte(strings.Repeat("x", 300_000) + "\n")
	for range 5 {
		sub.takeLine(line)
	}
	if got := sub.lines(nil); len(got) != 3*len(line) {
		t.Errorf("%d bytes", len(got))
	}
	sub.takeLine([]byte("{}\n"))
	if got := string(sub.lines(nil)); got != "{\"missed\":2}\n{}\n" {
		t.Errorf("%q", got)
	}
	sub.events = true
	sub.missed = 1
	sub.takeLine([]byte("{}\n"))
	if got := string(sub.lines(nil)); got != "event: missed\ndata: {\"missed\":1}\n\nevent: annotations\ndata: {}\n\n" {
		t.Errorf("%q", got)
	}
}

func TestKeptWhenAsked(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	s.post(t, "application/json", "/v1/annotate", `{"id":"1","text":"hello there"}`)
	s.post(t, "application/json", "/v1/annotate", `{"id":"2","text":"hello there","store":true}`)
	s.post(t, "text/plain", "/v1/annotate?id=3&store=true", "hello there")
	s.Close()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if len(s.store.kept) != 2 || parse(t, s.store.kept[0]).ID != "2" || parse(t, s.store.kept[1]).ID != "3" {
		t.Errorf("%q", s.store.kept)
	}
	c := testConfig()
	c.Keep = 0
	none := start(t, c, Deps{})
	if r, a := none.post(t, "application/json", "/v1/annotate", `{"text":"hello","store":true}`); r.StatusCode != 400 || a.Error.Code != "invalid" {
		t.Errorf("%d %+v", r.StatusCode, a)
	}
}

func TestWorkflowsAreListed(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	r, err := http.Get(s.url + "/v1/annotate/workflows")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := bufio.NewReader(r.Body).ReadString('\n')
	if !strings.Contains(b, `"name":"default","deadline_ms":600000,"hard":false`) || !strings.Contains(b, `"condition":"language is en"`) {
		t.Error(b)
	}
}

func TestWrongSettings(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.MaxDocument = 0 }, func(c *Config) { c.Streams = -1 }, func(c *Config) { c.Keep = -1 },
		func(c *Config) { c.Workflows = "/does/not/exist" }, func(c *Config) { c.Workflows = write(t, "[[workflow") },
	} {
		c := testConfig()
		change(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%+v passed", c)
		}
	}
	c := testConfig()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if _, err := New(c, Deps{Pipeline: pipeline.Options{}}); err == nil {
		t.Error("keep without a store")
	}
}
