package declare_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/invoke/workflow/declare"
)

type page struct{ language, source string }

var conditions = []declare.Condition[page]{
	{Name: "language", After: []string{"language"}, Make: func(value string) (func(*page) bool, error) {
		if len(value) != 2 {
			return nil, fmt.Errorf("%q is no code of ISO 639-1: write for example \"en\"", value)
		}
		return func(p *page) bool { return p.language == value }, nil
	}},
	{Name: "source", Make: func(value string) (func(*page) bool, error) {
		return func(p *page) bool { return p.source == value }, nil
	}},
}

func newEngine(t testing.TB) *workflow.Engine[page] {
	s := invoke.New(invoke.Config{Workers: 1})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	e := workflow.New[page](s, workflow.Options{})
	for name, needs := range map[string][]string{"parse": nil, "tokens": {"parse"}, "language": {"tokens"}, "tags": {"tokens"}, "entities": {"tags"}, "summary": {"tokens"}, "phrases": {"tags"}} {
		if err := e.Register(workflow.Function[page]{Name: name, Needs: needs, Run: func(*workflow.Run[page]) error { return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

const good = `# what we run
[workflow.default]
deadline = "100ms"
hard = true
rate = 4000
burst = 200
functions = ["parse", "tokens", "language"]
optional = ["summary", "phrases"]

[[workflow.default.branch]]
when = { language = "en", source = ["news", "mail"] }
functions = ["tags", "entities", "phrases"]

[workflow.long]
deadline = "5s"
functions = ["parse", "tokens"]
`

func TestDeclaredWorkflowsRun(t *testing.T) {
	e := newEngine(t)
	graphs, err := declare.Parse("workflows.toml", []byte(good), e, conditions)
	if err != nil {
		t.Fatal(err)
	}
	if len(graphs) != 2 || graphs[0].Name != "default" || !graphs[0].Hard || graphs[0].Burst != 200 || graphs[1].Deadline.Seconds() != 5 {
		t.Fatalf("%+v", graphs)
	}
	graphs[0].Rate, graphs[0].Burst = 0, 0 // whatever this machine holds
	w, err := e.Deploy(graphs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		page
		want string
	}{
		{page{"en", "news"}, "parse tokens language tags entities phrases summary"},
		{page{"en", "chat"}, "parse tokens language summary"},
		{page{"de", "mail"}, "parse tokens language summary"},
	} {
		r := &workflow.Run[page]{Document: &c.page, Size: 1, Done: func(*workflow.Run[page]) {}}
		if err := w.Execute(r); err != nil {
			t.Fatal(err)
		}
		var ran []string
		for i, name := range w.Steps() {
			if r.Outcome(i) == workflow.Ran {
				ran = append(ran, name)
			}
		}
		if got := strings.Join(ran, " "); got != c.want {
			t.Errorf("%v: %s", c.page, got)
		}
	}
	if a := w.Account(); a.Steps[w.Step("tags")].Condition != "language is en and source is news or mail" {
		t.Error(a.Steps[w.Step("tags")].Condition)
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	e := newEngine(t)
	head := "[workflow.w]\ndeadline = \"1s\"\n"
	for _, c := range []struct{ text, want string }{
		{"", "f.toml: declares no workflow: begin one with [workflow.NAME]"},
		{"[workflow.w]\nfunctions = [\"parse\"]", `f.toml:1:2: workflow w has no deadline: write for example deadline = "100ms"`},
		{"[workflow.w]\ndeadline = \"soon\"", `f.toml:2:1: deadline "soon" is no time`},
		{head + "dedline = 3", "f.toml:3:1: unknown key workflow.w.dedline: a workflow has deadline, hard"},
		{head + "functions = [\"parse\",\n  \"tokns\"]", "f.toml:4:3: tokns: no such function is registered; there are entities, language,"},
		{head + "functions = [\"tokens\"]", "f.toml:3:14: tokens: needs parse, which is not in the workflow: add it"},
		{head + "functions = [\"parse\", \"tokens\", \"tags\"]\noptional = [\"tokens\"]", "tags: is required but needs tokens, which is optional"},
		{head + "functions = [\"parse\"]\n[[workflow.w.branch]]\nwhen = { langage = \"en\" }\nfunctions = [\"tokens\"]", "f.toml:5:10: there is no condition langage: conditions are language, source"},
		{head + "functions = [\"parse\"]\n[[workflow.w.branch]]\nwhen = { source = 3 }", "f.toml:5:10: source: 3 is no text"},
		{head + "functions = [\"parse\"]\n[[workflow.w.branch]]\nwhen = { language = \"english\" }", "no code of ISO 639-1"},
		{head + "functions = [\"parse\"]\n[[workflow.w.branch]]\nwhen = { language = \"en\" }\nfunctions = [\"tokens\"]", "f.toml:6:14: tokens: is after language, which is not in the workflow: add it"},
		{head + "functions = [\"parse\"]\n[[workflow.w.branch]]\nfunctions = [\"tokens\"]", "f.toml:4:3: a branch needs when"},
		{head + "burst = 3", "burst is part of a guarantee"},
		{head + "functions = [\"parse\", \"parse\"]", "twice"},
		{head + "functions = [", "f.toml:"},
		{head, "f.toml:1:2: workflow w: has 0 steps, want 1 to 64"},
	} {
		_, err := declare.Parse("f.toml", []byte(c.text), e, conditions)
		var at *declare.Error
		if err == nil || !errors.As(err, &at) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v\nwant %s", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("[workflow.w]\ndeadline=\"1s\"\n[[workflow.w.branch]]\nwhen={}\n[workflow.w.branch.when]\n")
	f.Add("workflow.a.branch=[{when={source=\"x\"},functions=[\"parse\"]}]")
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, text string) {
		graphs, err := declare.Parse("f", []byte(text), e, conditions)
		if (err == nil) == (len(graphs) == 0) {
			t.Errorf("%d graphs, %v", len(graphs), err)
		}
	})
}
