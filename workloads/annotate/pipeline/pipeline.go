package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/invoke/workflow/metrics"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/knowledge"
	"github.com/starling-vr/starling/workloads/annotate/model"
	"github.com/starling-vr/starling/workloads/annotate/model/topic"
	"github.com/starling-vr/starling/workloads/annotate/summary"
	"github.com/starling-vr/starling/workloads/annotate/text"
)

// ReferenceSize is the size of a document, in bytes of its source, for which run times
// are stated: about 300 words.
const ReferenceSize = 2000

// margin is the share of a deadline that predictions keep free. It is small because each
// document reserves time for the way of its answer besides.
const margin = 0.02

// shedMargin is the share of a hard deadline that optional functions leave free: a burst
// that comes behind another finds room then.
const shedMargin = 0.5

// Options of a Pipeline. The zero value is usable.
type Options struct {
	// SplitAbove is the size in bytes from which on documents are cut into parts.
	// Default 64 KiB.
	SplitAbove int
	// Models annotate. Default: those that come with the program.
	Models *model.Models
	// Knowledge links entities. Default: a new base.
	Knowledge *knowledge.Base
	// Functions are added to those of the package, for workflows to use.
	Functions []workflow.Function[Job]
}

// Pipeline has the functions of annotation and the workflows that are deployed.
type Pipeline struct {
	Knowledge *knowledge.Base

	options Options
	models  *model.Models
	engine  *workflow.Engine[Job]
	flows   map[string]*Workflow
	order   []*Workflow
	jobs    jobs

	workplaces workplaces
}

// New makes a pipeline on a scheduler.
func New(scheduler *invoke.Scheduler, o Options) (*Pipeline, error) {
	if o.SplitAbove <= 0 {
		o.SplitAbove = 64 << 10
	}
	var err error
	if o.Models == nil {
		if o.Models, err = model.Default(); err != nil {
			return nil, err
		}
	}
	if o.Knowledge == nil {
		o.Knowledge = knowledge.New(knowledge.Options{})
	}
	p := &Pipeline{
		Knowledge: o.Knowledge, options: o, models: o.Models, flows: map[string]*Workflow{},
		engine: workflow.New[Job](scheduler, workflow.Options{ReferenceSize: ReferenceSize, Margin: margin, ShedMargin: shedMargin}),
	}
	if err := p.engine.Register(p.functions()...); err != nil {
		return nil, err
	}
	if err := p.engine.Register(o.Functions...); err != nil {
		return nil, err
	}
	return p, nil
}

// functions are those of the package. Run times are 99th percentiles for documents of
// the reference size as BenchmarkFunctions of loadtest/annotate measured them, the least
// of three runs on two virtual cores of an AMD EPYC (AVX2) without other work. They are a
// prior: what was declared is only believed until documents of the deployed workflow were
// measured.
func (p *Pipeline) functions() []workflow.Function[Job] {
	type run = workflow.Run[Job]
	const us = time.Microsecond
	functions := []workflow.Function[Job]{
		{Name: "parse", RunTime: 14 * us, Run: func(r *run) error {
			j := r.Document
			if j.Detect && looksLikeHTML(j.Source) {
				j.Format = document.HTML
			}
			text.Clean(&j.Document)
			return nil
		}},
		{Name: "tokens", Needs: []string{"parse"}, Mapped: true, RunTime: 61 * us, Run: func(r *run) error {
			text.Tokenise(&r.Document.Document)
			p.models.Assign(&r.Document.Document)
			return nil
		}},
		{Name: "language", Needs: []string{"tokens"}, Mapped: true, RunTime: 6 * us, Run: func(r *run) error {
			text.Identify(&r.Document.Document)
			return nil
		}},
		{Name: "speech", Needs: []string{"language"}, Mapped: true, RunTime: 59 * us, Run: func(r *run) error {
			return inPieces(r, p.models.Tag)
		}},
		{Name: "entities", Needs: []string{"speech"}, Mapped: true, RunTime: 42 * us, Run: func(r *run) error {
			r.Document.Entities = r.Document.Entities[:0]
			return inPieces(r, p.models.Entities)
		}},
		{Name: "keyphrases", Needs: []string{"speech"}, RunTime: 9 * us, Run: func(r *run) error {
			r.Document.place.finder.Find(&r.Document.Document)
			return nil
		}},
		{Name: "embedding", Needs: []string{"language"}, RunTime: 4 * us, Run: func(r *run) error {
			return p.models.Embed(&r.Document.Document)
		}},
		{Name: "topics", Needs: []string{"embedding"}, RunTime: 2 * us, Run: func(r *run) error {
			if t := r.Document.topics; t != nil {
				t.Assign(&r.Document.Document)
			}
			return nil
		}},
		{Name: "sentiment", Needs: []string{"language"}, RunTime: 9 * us, Run: func(r *run) error {
			return p.models.Sentiment(&r.Document.Document)
		}},
		{Name: "summary", Needs: []string{"language"}, RunTime: 5 * us, Run: func(r *run) error {
			summary.Summarise(&r.Document.Document)
			return nil
		}},
		{Name: "knowledge", Needs: []string{"entities"}, RunTime: 16 * us, Run: func(r *run) error {
			r.Document.place.linker.Link(&r.Document.Document)
			return nil
		}},
	}
	for i := range functions { // they share the document
		functions[i].Memory, functions[i].Leak = documentMemory, documentLeak
	}
	return functions
}

// piece is how many tokens are annotated at a time: a fraction of a millisecond of the
// slowest models, after which others may run.
const piece = 512

// inPieces annotates the sentences of a document some at a time.
func inPieces(r *workflow.Run[Job], annotate func(*document.Document, []document.Sentence) error) error {
	d := &r.Document.Document
	for sentences := d.Sentences; len(sentences) > 0; {
		n, tokens := 0, uint32(0)
		for n < len(sentences) && tokens < piece {
			tokens += sentences[n].End - sentences[n].Start
			n++
		}
		if err := annotate(d, sentences[:n]); err != nil {
			return err
		}
		sentences = sentences[n:]
		r.Yield()
	}
	return nil
}

const (
	// documentMemory is what a document of the reference size holds with its source and
	// everything that was found in it: the 99th percentile that BenchmarkFunctions of
	// loadtest/annotate measures. As a line it is 9 KB and 9.4 B for each byte.
	documentMemory = 32_400
	// documentLeak bounds what one function may add: a text of words of one letter has a
	// token of 28 B and its share of the tables for every two bytes.
	documentLeak = 256 * ReferenceSize
)

// english are the functions that are for English alone.
var english = map[string]bool{
	"speech": true, "entities": true, "keyphrases": true, "embedding": true, "topics": true, "sentiment": true, "summary": true, "knowledge": true,
}

// Workflow gives a deployed workflow, nil if there is none of that name.
func (p *Pipeline) Workflow(name string) *Workflow { return p.flows[name] }

// Workflows gives those deployed, in the order of their definitions.
func (p *Pipeline) Workflows() []*Workflow { return p.order }

// Collector exports the accounts of the workflows, as starling_workflow_….
func (p *Pipeline) Collector() prometheus.Collector { return metrics.New(p.engine) }

// Functions gives the names of all functions, sorted.
func (p *Pipeline) Functions() []string { return p.engine.Functions() }

// Close undeploys all workflows: what waits is refused.
func (p *Pipeline) Close() {
	for _, w := range p.order {
		w.Flow.Undeploy()
	}
}

// Workflow is a deployed workflow.
type Workflow struct {
	Definition
	Flow   *workflow.Workflow[Job]
	topics *topic.Set
}

// Submit hands a job to the workflow. The error is a *workflow.Refusal, and then
// Run.Done is not called.
func (w *Workflow) Submit(j *Job) error {
	w.prepare(j)
	return w.Flow.Submit(&j.Run)
}

// Execute runs a job on the caller's goroutine, without refusing it, and calls
// Run.Done.
func (w *Workflow) Execute(j *Job) error {
	w.prepare(j)
	return w.Flow.Execute(&j.Run)
}

func (w *Workflow) prepare(j *Job) {
	j.topics = w.topics
	j.Run.Document = j
	j.Run.Size = len(j.Source)
}
