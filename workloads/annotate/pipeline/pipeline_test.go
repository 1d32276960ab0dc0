package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model"
)

// testModels are those that come with the program unless a test sets others.
var testModels *model.Models

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newPipeline(t testing.TB, o Options, definitions ...Definition) *Pipeline {
	t.Helper()
	scheduler := invoke.New(invoke.Config{Workers: 2})
	t.Cleanup(func() { _ = scheduler.Close(t.Context()) })
	if o.Models == nil {
		o.Models = testModels
	}
	p, err := New(scheduler, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Deploy(definitions...); err != nil {
		t.Fatal(err)
	}
	return p
}

// annotate runs a document and waits for it.
func annotate(t testing.TB, p *Pipeline, flow, source string) *Job {
	t.Helper()
	j := p.Get()
	j.Source, j.Detect = []byte(source), true
	done := make(chan struct{})
	j.Run.Done = func(*workflow.Run[Job]) { close(done) }
	if err := p.Workflow(flow).Submit(j); err != nil {
		t.Fatal(err)
	}
	<-done
	return j
}

func soft(d Definition) Definition {
	d.Hard, d.Deadline = false, Duration(time.Minute)
	return d
}

const story = `<html><title>Storm</title><body><p>Maria Lopez of Acme Corp. visited Paris on Monday. The company said that profits rose
as investors bought shares on the stock market.</p><p>Lopez praised the wonderful, excellent team &amp; its great work.</p></body></html>`

func TestDefaultWorkflow(t *testing.T) {
	p := newPipeline(t, Options{}, soft(Defaults()[0]))
	j := annotate(t, p, "default", story)
	defer p.Put(j)
	if err := j.Run.Err(); err != nil {
		t.Fatal(err)
	}
	if j.Format != document.HTML || len(j.Sentences) < 3 || j.Language.Code != "en" || j.Tokens[0].Tag == document.NoTag {
		t.Errorf("format %v, %d sentences, language %v", j.Format, len(j.Sentences), j.Language)
	}
	if len(j.Phrases) == 0 || len(j.Embedding) == 0 || len(j.Summary) == 0 || !j.Sentiment.Known {
		t.Errorf("phrases %v, %d dimensions, summary %v, sentiment %v", j.Phrases, len(j.Embedding), j.Summary, j.Sentiment)
	}
	if len(j.Topics) == 0 || j.Topics[0].Name != "business" {
		t.Errorf("topics %v", j.Topics)
	}
	for _, e := range j.Entities {
		from, to := j.Origin(j.Tokens[e.Start].Start, j.Tokens[e.End-1].End)
		if got := strings.Join(strings.Fields(story[from:to]), " "); got != string(j.Bytes(e.Start, e.End)) {
			t.Errorf("entity %q comes from %q", j.Bytes(e.Start, e.End), got)
		}
		if e.ID == 0 {
			t.Errorf("entity %q is not linked", j.Bytes(e.Start, e.End))
		}
	}
	if len(j.Entities) == 0 {
		t.Error("no entities")
	}
}

func TestOtherLanguagesGetTokens(t *testing.T) {
	p := newPipeline(t, Options{}, soft(Defaults()[0]))
	j := annotate(t, p, "default", "Der Präsident sagte, dass die Wahlen in den nächsten Monaten nicht stattfinden werden.")
	if j.Run.Err() != nil || j.Run.Late() || j.Language.Code != "de" || len(j.Tokens) == 0 || len(j.Sentences) != 1 {
		t.Errorf("%v, language %v, %d tokens", j.Run.Err(), j.Language, len(j.Tokens))
	}
	flow := p.Workflow("default").Flow
	for i, name := range flow.Steps() {
		want := workflow.Ran
		if english[name] {
			want = workflow.Skipped
		}
		if got := j.Run.Outcome(i); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestConditions(t *testing.T) {
	definitions, err := ParseDefinitions("w.toml", []byte(`
[[workflow]]
name = "x"
deadline = "1m"
topic = [{ name = "money", words = ["bank", "profit", "shares"] }, { name = "war", words = ["troops", "attack"] }]
step = [
  { function = "keyphrases", when = { topic = ["money"] } },
  { function = "sentiment", when = { source = ["news"] } },
  { function = "summary", when = { min_bytes = 1000 } },
  { function = "entities", when = { topic = ["war"] } },
]`))
	if err != nil {
		t.Fatal(err)
	}
	p := newPipeline(t, Options{}, definitions...)
	j := annotate(t, p, "x", "The bank said that its profit rose and its shares gained on the market.")
	if len(j.Phrases) == 0 || j.Sentiment.Known || len(j.Summary) != 0 || len(j.Entities) != 0 {
		t.Errorf("phrases %v, sentiment %v, summary %v", j.Phrases, j.Sentiment, j.Summary)
	}
	for _, step := range p.Workflow("x").Flow.Account().Steps {
		if step.Function == "keyphrases" && step.Condition != "language is en, topic is money" {
			t.Errorf("condition %q", step.Condition)
		}
	}
}

func TestLargeDocumentsAreSplitAndJoined(t *testing.T) {
	p := newPipeline(t, Options{SplitAbove: 4000}, soft(Defaults()[0]))
	source := strings.Repeat("Maria Lopez of Acme Corp. visited Paris & said \"hello\" to the mayor of the city.\n\nIt rained.\n\n", 300)
	j := annotate(t, p, "default", source)
	if err := j.Run.Err(); err != nil {
		t.Fatal(err)
	}
	if p.Workflow("default").Flow.Account().Split != 1 {
		t.Error("it was not split")
	}
	whole := p.Get()
	whole.Source = []byte(source)
	whole.Run.Done = func(*workflow.Run[Job]) {}
	if err := p.Workflow("default").Execute(whole); err != nil {
		t.Fatal(err)
	}
	if len(j.Tokens) != len(whole.Tokens) || len(j.Sentences) != len(whole.Sentences) || len(j.Entities) != len(whole.Entities) || len(j.Phrases) != len(whole.Phrases) {
		t.Fatalf("%d tokens, %d sentences, %d entities; whole %d, %d, %d", len(j.Tokens), len(j.Sentences), len(j.Entities),
			len(whole.Tokens), len(whole.Sentences), len(whole.Entities))
	}
	for i := range j.Tokens {
		a, b := j.Tokens[i], whole.Tokens[i]
		if a.Start != b.Start || a.End != b.End || a.Tag != b.Tag {
			t.Fatalf("token %d is %+v, whole %+v", i, a, b)
		}
	}
}

func TestFunctionThatPanicsFailsItsDocumentAlone(t *testing.T) {
	bad := workflow.Function[Job]{Name: "bad", Needs: []string{"tokens"}, Run: func(r *workflow.Run[Job]) error {
		if r.Document.From == "evil" {
			panic("evil")
		}
		return nil
	}}
	d := Definition{Name: "x", Deadline: Duration(time.Minute), Steps: []Step{{Function: "bad"}, {Function: "sentiment"}}}
	p := newPipeline(t, Options{Functions: []workflow.Function[Job]{bad}}, d)
	j := p.Get()
	j.Source, j.From = []byte("it is great"), "evil"
	done := make(chan struct{})
	j.Run.Done = func(*workflow.Run[Job]) { close(done) }
	if err := p.Workflow("x").Submit(j); err != nil {
		t.Fatal(err)
	}
	<-done
	var failed *workflow.FunctionError
	if !errors.As(j.Run.Err(), &failed) || failed.Function != "bad" || failed.Cause != workflow.Panicked {
		t.Errorf("error %v", j.Run.Err())
	}
	if !j.Sentiment.Known {
		t.Error("the others did not go on")
	}
	if other := annotate(t, p, "x", "it is great"); other.Run.Err() != nil {
		t.Error(other.Run.Err())
	}
}

func TestWrongDefinitions(t *testing.T) {
	for _, c := range []struct{ file, say string }{
		{``, "w.toml: declares no workflow: begin one with [[workflow]]"},
		{`[[workflow]]
name = "x"
colour = "red"`, "w.toml:3:1: unknown key colour: a workflow has name, deadline"},
		{`[[workflow]]
name = "x"
step = [{function = "speech", wen = {}}]`, "w.toml:3:31: unknown key wen: a step has function"},
		{`[[workflow]]
name = "x"
step = [{wen = {}, function = "speech"}]`, "w.toml:3:10: unknown key wen: a step has function"},
		{`[[workflow]]
name = "x"
[[workflow.step]]
function = "speech"
when = {topics = ["x"]}`, "w.toml:5:9: unknown key topics: when has source, topic"},
		{`[workflows]`, "w.toml:1:2: unknown key workflows: a file has [[workflow]]"},
		{`[[workflow`, "w.toml:1:"},
		{`[[workflow]]
name = "x"
deadline = "fast"`, `w.toml:3:12: "fast" is no duration: write for example "100ms"`},
		{`[[workflow]]
deadline = "1s"`, `w.toml:1:3: workflow "": it has no name`},
		{`[[workflow]]
name = "x"
burst = 3`, `w.toml:3:1: workflow "x": burst 3 is part of a guarantee: add rate`},
		{`[[workflow]]
name = "x"
miss_target = 5.0`, `w.toml:3:1: workflow "x": miss_target 5 is a share`},
		{`[[workflow]]
name = "x"
refuse = "oldest"`, `w.toml:3:1: workflow "x": refuse "oldest": write "largest" or "newest"`},
		{`[[workflow]]
name = "x"
step = [{function = "speach"}]`, `w.toml:3:10: workflow "x": there is no function "speach": want one of embedding,`},
		{`[[workflow]]
name = "x"
[[workflow.step]]
function = "speech"
[[workflow.step]]
function = "speech"`, `w.toml:6:1: workflow "x": step "speech" is there twice`},
		{`[[workflow]]
name = "x"
step = [
  {function = "tokens"},
  {function = "speech", when = {topic = ["y"]}}]`, `w.toml:5:42: workflow "x": the workflow has no topic "y"`},
		{`[[workflow]]
name = "x"
step = [{function = "speech", when = {sentiment = "angry"}}]`, `w.toml:3:39: workflow "x": sentiment "angry": want negative or positive`},
		{`[[workflow]]
name = "x"
topic = [{name = "y", words = ["qqqqqqqqqqq"]}]
step = [{function = "topics"}]`, `w.toml:3:11: workflow "x": topic "y"`},
		{`[[workflow]]
name = "x"
step = [
  {function = "speech", optional = 1},
  {function = "entities"}]`, `w.toml:5:4: workflow "x"`},
		{`[[workflow]]
name = "x"
step = [{function = "speech"}]
[[workflow]]
name = "x"
step = [{function = "speech"}]`, `w.toml:5:1: workflow "x": there are two of that name`},
		{`[[workflow]]
name = "x"
rate = 1e9
step = [{function = "speech"}]`, `w.toml:3:1: workflow "x": function annotate.x not admitted`},
	} {
		scheduler := invoke.New(invoke.Config{Workers: 2})
		p, err := New(scheduler, Options{Models: testModels})
		if err != nil {
			t.Fatal(err)
		}
		definitions, err := ParseDefinitions("w.toml", []byte(c.file))
		if err == nil {
			err = p.Deploy(definitions...)
		}
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s\nerror %v, want one of %q", c.file, err, c.say)
		}
		_ = scheduler.Close(t.Context())
	}
}

// All that is wrong in a file is told at once, each with its place.
func TestAllThatIsWrongIsTold(t *testing.T) {
	for _, c := range []struct {
		file string
		say  []string
	}{
		{`[[workflow]]
name = "a"
colour = "red"
step = [{function = "speech", colour = "blue"}]`, []string{"w.toml:3:1: unknown key colour: a workflow", "w.toml:4:31: unknown key colour: a step"}},
		{`[[workflow]]
name = "a"
rate = -1
queue = -1
topic = [{name = "b", words = ["qqqqqqqqqqq"]}, {name = "c", words = ["qqqqqqqqqqq"]}]
step = [
  {function = "speach"},
  {function = "parse", when = {sentiment = "angry"}}]
[[workflow]]
name = "a"
[[workflow]]
name = "d"
rate = 1e9
step = [{function = "speech"}]`, []string{
			`w.toml:3:1: workflow "a": rate`, `w.toml:4:1: workflow "a": queue`, `w.toml:5:11: workflow "a": topic "b"`, `w.toml:5:50: workflow "a": topic "c"`,
			`w.toml:7:4: workflow "a": there is no function "speach"`, `w.toml:8:32: workflow "a": sentiment`, `w.toml:10:1: workflow "a": there are two`,
			`w.toml:13:1: workflow "d": function annotate.d not admitted`,
		}},
	} {
		p := newPipeline(t, Options{})
		definitions, err := ParseDefinitions("w.toml", []byte(c.file))
		if err == nil {
			err = p.Deploy(definitions...)
		}
		var said *DefinitionError
		if !errors.As(err, &said) || len(p.Workflows()) != 0 {
			t.Fatalf("error %v, %d deployed", err, len(p.Workflows()))
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.say) {
			t.Errorf("%d errors, want %d:\n%v", len(lines), len(c.say), err)
			continue
		}
		for i, want := range c.say {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s\nwant %s", lines[i], want)
			}
		}
	}
}

// Whatever a document is like, what its functions add to it is within what they declare,
// and what they use is accounted for.
func TestMemoryIsWithinWhatIsDeclared(t *testing.T) {
	p := newPipeline(t, Options{}, soft(Defaults()[0]))
	distinct := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%x ", i)
		}
		return b.String()
	}
	for name, piece := range map[string]string{
		"letters": "a b c d e ", "marks": "!?", "sentences": "A. B. ", "paragraphs": "a\n\n", "markup": "<p>a<p>&amp;",
		"names": "Maria Lopez of Acme Corp. ", "scripts": "日本語テキスト ", "bytes": "\xff\xfe",
	} {
		for _, n := range []int{1, 100, 10_000} {
			j := annotate(t, p, "default", strings.Repeat(piece, n))
			if err := j.Run.Err(); err != nil {
				t.Errorf("%s x %d: %v", name, n, err)
			}
		}
	}
	for _, n := range []int{300, 50_000} {
		if j := annotate(t, p, "default", distinct(n)); j.Run.Err() != nil {
			t.Errorf("%d distinct words: %v", n, j.Run.Err())
		}
	}
	if m := p.Workflow("default").Flow.Contract().Memory; m != documentMemory {
		t.Errorf("the workflow's memory is %d B", m)
	}
}

func TestOnlyDocumentsThatRunHoldStorage(t *testing.T) {
	p := newPipeline(t, Options{}, Defaults()...)
	for range 3 {
		j := p.Get()
		if n := j.Footprint(); n != 0 {
			t.Fatalf("%d B before the first function", n)
		}
		j.Source, j.Detect = []byte(story), true
		j.Run.Done = func(*workflow.Run[Job]) {}
		if err := p.Workflow("analysis").Execute(j); err != nil {
			t.Fatal(err)
		}
		if len(j.Tokens) == 0 || len(j.Entities) == 0 || len(j.Phrases) == 0 || j.Footprint() == 0 {
			t.Fatalf("%d tokens, %d entities, %d phrases in %d B", len(j.Tokens), len(j.Entities), len(j.Phrases), j.Footprint())
		}
		if j.Clear(); j.Footprint() != 0 || len(j.Tokens) != 0 {
			t.Fatalf("%d tokens, %d B once cleared", len(j.Tokens), j.Footprint())
		}
		p.Put(j)
	}
}

func TestLooksLikeHTML(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "<": false, "a<b>": false, "<p>x": true, " \n<!doctype html>": true, "<3 you > me": false, "<html": false, "<- x>": false,
	} {
		if got := looksLikeHTML([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func BenchmarkDefaultWorkflow(b *testing.B) {
	p := newPipeline(b, Options{}, soft(Defaults()[0]))
	source := []byte("<p>" + strings.Repeat("The central bank said on Tuesday that Maria Lopez of Acme Corp. would raise its main interest rate by a quarter of a point. ", 12) + "</p>")
	words := len(strings.Fields(string(source)))
	j := p.Get()
	j.Run.Done = func(*workflow.Run[Job]) {}
	for b.Loop() {
		j.Reset()
		j.Source, j.Detect = source, true
		if err := p.Workflow("default").Execute(j); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(words), "words")
	for i, name := range p.Workflow("default").Flow.Steps() {
		a := p.Workflow("default").Flow.Account().Steps[i]
		b.ReportMetric(float64(a.Busy.Nanoseconds())/float64(a.Runs)/1000, fmt.Sprintf("us-%s", name))
	}
}
