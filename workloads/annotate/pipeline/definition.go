package pipeline

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/topic"
)

// Definition is a workflow as its user writes it, in TOML:
//
//	[[workflow]]
//	name = "moderation"
//	deadline = "100ms"
//	hard = true
//	rate = 500.0
//
//	[[workflow.topic]]
//	name = "violence"
//	words = ["attack", "kill", "weapon"]
//
//	[[workflow.step]]
//	function = "topics"
//	[[workflow.step]]
//	function = "sentiment"
//	when = { topic = ["violence"] }
//
// Functions that a step needs are added by themselves.
type Definition struct {
	Name     string   `toml:"name"`
	Deadline Duration `toml:"deadline"`
	// Hard: a late answer is worthless, so what cannot meet the deadline is refused.
	Hard bool `toml:"hard"`
	// Refuse says which documents a hard workflow refuses when there is not the time for
	// all: "largest" (or nothing), so that as many as possible are in time, or "newest".
	Refuse string `toml:"refuse"`
	// Rate (documents per second) and Burst are guaranteed; 0 is best effort.
	Rate  float64 `toml:"rate"`
	Burst int     `toml:"burst"`
	// MissTarget is the tolerated share of guaranteed documents that are late.
	MissTarget float64 `toml:"miss_target"`
	// Queue is how many documents may wait; 0: the scheduler's default.
	Queue  int     `toml:"queue"`
	Topics []Topic `toml:"topic"`
	Steps  []Step  `toml:"step"`

	origin *origin // nil if it comes from no file
}

// Topic is a topic of a workflow: words, or documents about it, or both.
type Topic struct {
	Name      string   `toml:"name"`
	Words     []string `toml:"words"`
	Examples  []string `toml:"examples"`
	Threshold float32  `toml:"threshold"`
}

// Step is the use of a function in a workflow.
type Step struct {
	Function string `toml:"function"`
	// Optional: what is shed when time is short, 1 first. 0 is required.
	Optional int `toml:"optional"`
	// When says for which documents the step runs; without it for all.
	When *Condition `toml:"when"`
}

// Condition holds for a document if each of its parts does that is set.
type Condition struct {
	// Source is one of these, as the request says.
	Source []string `toml:"source"`
	// Topic: the document is about one of these topics of the workflow.
	Topic []string `toml:"topic"`
	// Language is one of these codes.
	Language []string `toml:"language"`
	// MinBytes and MaxBytes bound the document's size; 0 does not.
	MinBytes int `toml:"min_bytes"`
	MaxBytes int `toml:"max_bytes"`
	// Sentiment is "negative" or "positive".
	Sentiment string `toml:"sentiment"`
}

// Duration is a time.Duration that TOML writes as "100ms".
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	x, err := time.ParseDuration(string(b))
	if err != nil || x <= 0 {
		return fmt.Errorf("%q is no duration: write for example \"100ms\" or \"5s\"", b)
	}
	*d = Duration(x)
	return nil
}

//go:embed workflows.toml
var defaultWorkflows []byte

// Defaults are the workflows of a process that is given no others: "default", hard
// with 100 ms, and "analysis", soft with 5 s.
func Defaults() []Definition {
	definitions, err := ParseDefinitions("workflows.toml", defaultWorkflows)
	if err != nil {
		panic(err) // a file of this package
	}
	return definitions
}

// ParseDefinitions reads the workflows of a file, whose name is for errors. Keys that
// are not known are errors. The error is a *DefinitionError, or several joined.
func ParseDefinitions(name string, file []byte) ([]Definition, error) {
	var all struct {
		Workflows []Definition `toml:"workflow"`
	}
	if err := toml.NewDecoder(bytes.NewReader(file)).DisallowUnknownFields().Decode(&all); err != nil {
		return nil, notRead(name, file, err)
	}
	if len(all.Workflows) == 0 {
		return nil, &DefinitionError{File: name, Problem: "declares no workflow: begin one with [[workflow]]"}
	}
	places := findPlaces(file)
	for i := range all.Workflows {
		all.Workflows[i].origin = &origin{name, places, fmt.Sprintf("workflow[%d]", i)}
	}
	return all.Workflows, nil
}

// Deploy deploys workflows. If one is refused none is deployed; the error then tells of
// all that are wrong, joined: each is a *DefinitionError if it comes from a file, and may
// wrap a *workflow.GraphError or an *invoke.NotAdmittedError.
func (p *Pipeline) Deploy(definitions ...Definition) error {
	var refused []error
	for i, d := range definitions {
		if d.Name != "" && slices.ContainsFunc(definitions[:i], func(other Definition) bool { return other.Name == d.Name }) {
			refused = append(refused, d.locate(wrong("name", "there are two of that name: give this one another")))
			continue
		}
		w, err := p.deploy(d)
		if err != nil {
			refused = append(refused, d.locate(err))
			continue
		}
		p.flows[d.Name] = w
		p.order = append(p.order, w)
	}
	if refused != nil {
		p.Close()
		p.flows, p.order = map[string]*Workflow{}, nil
	}
	return join(refused)
}

func (p *Pipeline) deploy(d Definition) (*Workflow, error) {
	if d.Deadline == 0 {
		d.Deadline = Duration(100 * time.Millisecond)
	}
	topics, noTopics := p.topics(d.Topics)
	steps, noSteps := p.steps(&d)
	if err := errors.Join(d.check(), noTopics, noSteps); err != nil {
		return nil, err
	}
	flow, err := p.engine.Deploy(workflow.Graph[Job]{
		Name: "annotate." + d.Name, Steps: steps, Deadline: time.Duration(d.Deadline), Hard: d.Hard, Displace: d.Refuse != "newest",
		Rate: d.Rate, Burst: d.Burst, MissTarget: d.MissTarget, Queue: d.Queue, Begin: p.occupy, Splitter: p.splitter(),
	})
	if err != nil {
		return nil, err
	}
	return &Workflow{Definition: d, Flow: flow, topics: topics}, nil
}

// topics makes vectors of topics; examples are annotated for it.
func (p *Pipeline) topics(topics []Topic) (*topic.Set, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	var definitions []topic.Definition
	for _, t := range topics {
		d := topic.Definition{Name: t.Name, Words: t.Words, Threshold: t.Threshold}
		for _, example := range t.Examples {
			d.Examples = append(d.Examples, p.embedded(example))
		}
		definitions = append(definitions, d)
	}
	return topic.New(p.models.Vectors, definitions)
}

func (p *Pipeline) embedded(example string) *document.Document {
	j := &Job{Detect: true}
	j.Source = []byte(example)
	run := workflow.Run[Job]{Document: j}
	for _, f := range p.functions()[:2] { // parse, tokens
		_ = f.Run(&run) // neither fails
	}
	p.models.Vectors.Embed(&j.Document)
	return &j.Document
}

// steps makes the graph's steps of the user's, with those that they need.
func (p *Pipeline) steps(d *Definition) ([]workflow.Step[Job], error) {
	needs := map[string][]string{}
	for _, f := range append(p.functions(), p.options.Functions...) {
		needs[f.Name] = f.Needs
	}
	var steps []workflow.Step[Job]
	var all []error
	there := map[string]bool{}
	for i, s := range d.Steps {
		at := fmt.Sprintf("step[%d].", i)
		if there[s.Function] {
			all = append(all, wrong(at+"function", "step %q is there twice: remove one", s.Function))
			continue
		}
		if _, ok := needs[s.Function]; !ok {
			all = append(all, wrong(at+"function", "there is no function %q: want one of %s", s.Function, strings.Join(p.Functions(), ", ")))
			continue
		}
		there[s.Function] = true
		step, err := d.step(at, s)
		all, steps = append(all, err), append(steps, step)
	}
	for i := 0; i < len(steps); i++ { // it grows
		for _, need := range slices.Concat(needs[steps[i].Function], steps[i].After) {
			if there[need] {
				continue
			}
			there[need] = true
			step, err := d.step("", Step{Function: need})
			all, steps = append(all, err), append(steps, step)
		}
	}
	return steps, errors.Join(all...)
}
