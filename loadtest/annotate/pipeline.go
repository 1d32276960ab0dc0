package annotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// Pipeline runs the functions of annotation in this process: the compute alone,
// without HTTP and JSON.
type Pipeline struct {
	local
	pipeline *pipeline.Pipeline
	flow     *pipeline.Workflow
}

// NewPipeline deploys workflows on so many workers, 0 for one on each core.
func NewPipeline(definitions []pipeline.Definition, workers int) (*Pipeline, error) {
	t := &Pipeline{}
	t.scheduler = invoke.New(invoke.Config{Workers: workers, ShortWorkers: -1})
	var err error
	if t.pipeline, err = pipeline.New(t.scheduler, pipeline.Options{}); err == nil {
		err = t.pipeline.Deploy(definitions...)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close(context.Background()))
	}
	return t, nil
}

// Begin implements Target.
func (t *Pipeline) Begin(_ context.Context, spec *Spec, answered func(int, *Answer)) error {
	t.begin(spec, answered)
	name := spec.Workflow
	if name == "" {
		name = "default"
	}
	if t.flow = t.pipeline.Workflow(name); t.flow == nil {
		return fmt.Errorf("there is no workflow %q", name)
	}
	return nil
}

// Send implements Target.
func (t *Pipeline) Send(from, to int) {
	for number := from; number < to; number++ {
		j := t.pipeline.Get()
		var html bool
		j.Room, html = t.spec.Corpus.Document(j.Room[:0], uint64(number), t.spec.Words.Draw(t.spec.Seed, number), false)
		j.Source = j.Room
		if html {
			j.Format = document.HTML
		}
		j.Run.Done, j.Run.Payload, j.Run.Arrived = t.done, &t.numbers[number], t.arrived(number)
		t.underWay.Add(1)
		if err := t.flow.Submit(j); err != nil {
			t.refuse(number, err)
			t.pipeline.Put(j)
			t.underWay.Done()
		}
	}
}

func (t *Pipeline) done(r *workflow.Run[pipeline.Job]) {
	a := outcome(r)
	t.answer(*r.Payload.(*int), &a)
	t.pipeline.Put(r.Document)
	t.underWay.Done()
}
