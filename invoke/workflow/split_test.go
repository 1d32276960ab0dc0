package workflow_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke/workflow"
)

// byWords cuts a page into pages of ten words and joins what was found in them.
func byWords(released *atomic.Int32) *workflow.Splitter[page] {
	return &workflow.Splitter[page]{
		Above: 10,
		Split: func(p *page, want int, parts []workflow.Part[page]) ([]workflow.Part[page], error) {
			words := strings.Fields(p.text)
			for len(words) > 0 {
				n := min(10, len(words))
				parts = append(parts, workflow.Part[page]{Document: &page{text: strings.Join(words[:n], " ")}, Size: n})
				words = words[n:]
			}
			return parts, nil
		},
		Join: func(p *page, parts []workflow.Part[page]) error {
			for _, part := range parts {
				p.log = append(p.log, part.Document.log...)
			}
			return nil
		},
		Release: func(*page) { released.Add(1) },
	}
}

func words(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }

// counts makes a mapped function that writes how many words it saw.
func counts(name string, needs ...string) function {
	return function{Name: name, Needs: needs, Mapped: true, Run: func(r *run) error {
		if strings.Contains(r.Document.text, "fail") {
			return errors.New("cannot")
		}
		r.Document.log = append(r.Document.log, fmt.Sprint(name, len(strings.Fields(r.Document.text))))
		return nil
	}}
}

func TestLargeDocumentsAreSplitMappedAndJoined(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var released atomic.Int32
		e := engine(t, says("parse"), counts("tokens", "parse"), counts("tags", "tokens"), says("topic", "tags"))
		w := deploy(t, e, graph{
			Name: "w", Deadline: 20 * time.Second, Steps: steps("topic", "tags", "tokens", "parse"), Splitter: byWords(&released),
		})
		defer w.Undeploy()
		n := rapid.IntRange(1, 95).Draw(rt, "words")
		p := &page{text: words(n)}
		done := make(chan *run, 1)
		r := &run{Document: p, Size: n, Done: func(r *run) { done <- r }}
		if err := w.Submit(r); err != nil {
			rt.Fatal(err)
		}
		if err := (<-done).Err(); err != nil {
			rt.Fatal(err)
		}
		want := []string{"parse"}
		for left := n; left > 0; {
			size := left
			if n > 10 {
				size = min(left, 10)
			}
			want = append(want, fmt.Sprint("tokens", size), fmt.Sprint("tags", size))
			left -= size
		}
		if got := strings.Join(p.log, " "); got != strings.Join(append(want, "topic"), " ") {
			rt.Fatalf("%d words: %s", n, got)
		}
		if parts := (n + 9) / 10; n > 10 && int(released.Load()) != parts {
			rt.Fatalf("%d of %d parts came back", released.Load(), parts)
		}
	})
}

func TestAPartThatFailsFailsTheDocument(t *testing.T) {
	var released atomic.Int32
	e := engine(t, counts("tokens"), says("topic", "tokens"))
	w := deploy(t, e, graph{Name: "w", Deadline: 20 * time.Second, Steps: steps("tokens", "topic"), Splitter: byWords(&released)})
	p := &page{text: words(25) + " fail " + words(20)}
	done := make(chan *run, 1)
	if err := w.Submit(&run{Document: p, Size: 46, Done: func(r *run) { done <- r }}); err != nil {
		t.Fatal(err)
	}
	r := <-done
	var fault *workflow.FunctionError
	if !errors.As(r.Err(), &fault) || fault.Function != "tokens" {
		t.Error(r.Err())
	}
	if r.Outcome(0) != workflow.Errored || r.Outcome(1) != workflow.Blocked || released.Load() != 5 || len(p.log) != 0 {
		t.Error(r.Outcome(0), r.Outcome(1), released.Load(), p.log)
	}
}

func TestSplittersThatPanic(t *testing.T) {
	var released atomic.Int32
	s := byWords(&released)
	s.Join = func(*page, []workflow.Part[page]) error { panic("join") }
	e := engine(t, counts("tokens"), says("topic", "tokens"))
	w := deploy(t, e, graph{Name: "w", Deadline: 20 * time.Second, Steps: steps("tokens", "topic"), Splitter: s})
	done := make(chan *run, 1)
	if err := w.Submit(&run{Document: &page{text: words(30)}, Size: 30, Done: func(r *run) { done <- r }}); err != nil {
		t.Fatal(err)
	}
	var fault *workflow.FunctionError
	if r := <-done; !errors.As(r.Err(), &fault) || fault.Cause != workflow.Panicked || fault.Function != "join" {
		t.Error(r.Err())
	}
}
