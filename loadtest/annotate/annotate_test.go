package annotate_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/annotate"
	"github.com/starling-vr/starling/loadtest/annotate/corpus"
)

var generated = sync.OnceValue(func() *corpus.Corpus { return corpus.Generated(corpus.Options{Seed: 3, HTMLShare: 0.2}) })

func spec(t testing.TB, rate float64, arrivals, words string) annotate.Spec {
	t.Helper()
	a, err := annotate.ParseArrivals(arrivals)
	if err != nil {
		t.Fatal(err)
	}
	w, err := annotate.ParseWords(words)
	if err != nil {
		t.Fatal(err)
	}
	return annotate.Spec{
		Rate: rate, Arrivals: a, Words: w, Deadline: 10 * time.Second, Warmup: 100 * time.Millisecond, Duration: 400 * time.Millisecond,
		Seed: 3, Corpus: generated(), MaxLate: 0,
	}
}

// door answers as the API says. Every seventh document has lost its summary, every
// eleventh is refused, every thirteenth is never answered.
func door(t testing.TB) *httptest.Server {
	handle := func(line []byte, out io.Writer) {
		var d struct{ ID, Text, Format string }
		if err := json.Unmarshal(line, &d); err != nil || d.Text == "" || d.Format == "" {
			t.Errorf("%v: %.100s", err, line)
		}
		var n int
		_, _ = fmt.Sscan(d.ID, &n)
		switch {
		case n%13 == 12:
		case n%11 == 10:
			fmt.Fprintf(out, `{"id":%q,"error":{"code":"too_late","message":"\"error\": {","retryable":true}}`+"\n", d.ID)
		case n%7 == 6:
			fmt.Fprintf(out, `{"id":%q,"functions":{"summary":"shed","tags":"skipped"},"late":false}`+"\n", d.ID)
		default:
			fmt.Fprintf(out, `{"id":%q,"workflow":"default","entities":[{"text":"a \"functions\": b"}],"late":false}`+"\n", d.ID)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != annotate.Path || r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		if r.Header.Get("Content-Type") == "application/json" {
			body, _ := io.ReadAll(r.Body)
			handle(body, w)
			return
		}
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusOK)
		_ = c.Flush()
		lines := bufio.NewScanner(r.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			handle(lines.Bytes(), w)
			_ = c.Flush()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// fates counts what the servers of these tests make of documents.
type fates struct{ lost, refused, shed, late int64 }

// fatesOf counts by the documents' numbers. Only the server for gRPC says late.
func fatesOf(numbers []int) (f fates) {
	for _, n := range numbers {
		switch {
		case n%13 == 12:
			f.lost++
		case n%11 == 10:
			f.refused++
		case n%7 == 6:
			f.shed++
		case n%5 == 4:
			f.late++
		}
	}
	return f
}

func TestStreamCountsWhatComesBack(t *testing.T) {
	s := spec(t, 500, "bursts:5", "uniform:5-100")
	s.Deadline, s.Grace = 2*time.Second, 500*time.Millisecond
	r, err := annotate.Run(t.Context(), s, &annotate.Stream{Door: annotate.Door{URL: door(t).URL, Token: "secret", Connections: 3}})
	if err != nil {
		t.Fatal(err)
	}
	schedule := s.Arrivals.Schedule(s.Rate, s.Warmup+s.Duration, s.Seed)
	var numbers []int
	for n, due := range schedule {
		if due >= s.Warmup {
			numbers = append(numbers, n)
		}
	}
	documents, want := int64(len(numbers)), fatesOf(numbers)
	if r.Documents != documents || r.Lost != want.lost || r.Refused != want.refused || r.RefusedByCode["too_late"] != want.refused || r.Shed["summary"] != want.shed || len(r.Shed) != 1 {
		t.Errorf("want %d documents, %+v\n%+v", documents, want, r)
	}
	var text strings.Builder
	if err := annotate.Summarize(&text, r); err != nil || !strings.Contains(text.String(), "the first too_late: \"error\": {\n") {
		t.Errorf("%v: why documents were refused is not in\n%s", err, &text)
	}
	if r.InTime+r.Late != documents-want.lost-want.refused || r.Met || math.Abs(r.LateFraction-float64(want.lost+want.refused+r.Late)/float64(documents)) > 1e-6 {
		t.Errorf("%+v", r)
	}
}

func TestRequests(t *testing.T) {
	s := spec(t, 100, "poisson", "fixed:20")
	s.Warmup, s.Duration = 0, 100*time.Millisecond // fewer than 13 documents on each connection
	target := &annotate.Requests{Door: annotate.Door{URL: door(t).URL, Token: "secret", Connections: 2}}
	s.Seed = 5
	r, err := annotate.Run(t.Context(), s, target)
	if len(s.Arrivals.Schedule(s.Rate, s.Duration, s.Seed)) > 12 {
		t.Fatal("the seed makes too many documents")
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.Documents != r.InTime+r.Refused+r.Late || r.Documents == 0 {
		t.Errorf("%+v", r)
	}
}

func TestServersThatRefuseTheStream(t *testing.T) {
	s := spec(t, 100, "poisson", "fixed:20")
	s.Duration, s.Deadline, s.Grace = 50*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	_, err := annotate.Run(t.Context(), s, &annotate.Stream{Door: annotate.Door{URL: door(t).URL, Token: "wrong"}})
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
	if _, err := annotate.Run(t.Context(), s, &annotate.Stream{Door: annotate.Door{URL: "nonsense"}}); err == nil || !strings.Contains(err.Error(), "want a URL") {
		t.Error(err)
	}
}

func TestSyntheticFunctions(t *testing.T) {
	s := spec(t, 20, "poisson", "uniform:50-750")
	target, err := annotate.NewSynthetic(annotate.Synthetic{
		Functions: 12, Workflows: 3, FunctionShare: annotate.Share{From: 0.0001, To: 0.0009}, WorkflowShare: annotate.Share{From: 0.0005, To: 0.00095}, Optional: true, Memory: 1e6,
	}, s.Deadline, s.Words.To, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := annotate.Run(t.Context(), s, target)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r.Documents == 0 || r.Lost > 0 || r.Refused > 0 || r.ComputeUSDocument == nil || *r.ComputeUSDocument < 500 || *r.UsedGBS == 0 {
		t.Errorf("%+v", r)
	}
}

func TestWorkflowsThatCannotBe(t *testing.T) {
	_, err := annotate.NewSynthetic(annotate.Synthetic{
		Functions: 2, Workflows: 1, FunctionShare: annotate.Share{From: 0.1, To: 0.1}, WorkflowShare: annotate.Share{From: 0.5, To: 0.95},
	}, time.Second, 100, 1)
	if err == nil || !strings.Contains(err.Error(), "add functions") {
		t.Error(err)
	}
}

func TestSchedulesKeepTheirRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"poisson", "uniform", "bursts:10", "bursts:200"}).Draw(t, "arrivals")
		a, err := annotate.ParseArrivals(text)
		if err != nil || a.String() != text {
			t.Fatal(err)
		}
		due := a.Schedule(4000, 20*time.Second, rapid.Uint64().Draw(t, "seed"))
		if n := float64(len(due)); math.Abs(n-80000) > 6*math.Sqrt(80000*float64(a.Burst)) {
			t.Fatalf("%s: %v documents, want about 80000", text, n)
		}
		for i := 1; i < len(due); i++ {
			if due[i] < due[i-1] {
				t.Fatal("not ascending")
			}
		}
	})
}

func TestWordsAreWithinBounds(t *testing.T) {
	for _, text := range []string{"fixed:300", "uniform:50-750", "log-uniform:8-8000"} {
		w, err := annotate.ParseWords(text)
		if err != nil || w.String() != text {
			t.Fatal(text, err)
		}
		least, most := math.MaxInt, 0
		for i := range 20000 {
			n := w.Draw(9, i)
			least, most = min(least, n), max(most, n)
		}
		if least < w.From || most > w.To || least > w.From+w.From/10 || most < w.To-w.To/10 {
			t.Errorf("%s: %d to %d", text, least, most)
		}
	}
	for _, text := range []string{"", "300", "fixed:1-2", "uniform:5", "uniform:9-5", "uniform:0-5", "normal:1-2", "fixed:x"} {
		if _, err := annotate.ParseWords(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{"", "bursts", "bursts:0", "poisson:3", "bursts:x"} {
		if _, err := annotate.ParseArrivals(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
