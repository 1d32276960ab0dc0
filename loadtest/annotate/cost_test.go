package annotate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/loadtest/annotate/corpus"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// BenchmarkFunctions measures what the functions of annotation declare, over documents
// of 50 to 750 words, a fifth of them HTML: of each function the run time as a line over
// the bytes of the document (least squares), its mean and 99th percentile at the
// reference size (within a tenth), and the storage of a document as such a line.
func BenchmarkFunctions(b *testing.B) {
	scheduler := invoke.New(invoke.Config{Workers: 1})
	p, err := pipeline.New(scheduler, pipeline.Options{})
	if err == nil {
		err = p.Deploy(pipeline.Defaults()...)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = scheduler.Close(b.Context()) })
	documents := corpus.Generated(corpus.Options{Seed: 1, HTMLShare: 0.2})
	words := Words{Kind: "uniform", From: 50, To: 750}
	flow := p.Workflow("default")
	functions := make([]fitted, flow.Flow.Len())
	var storage fitted
	number := 0
	reused := p.Get()
	for b.Loop() {
		j := reused
		fresh := number%8 == 7 // its storage is that of this document
		if fresh {
			j = p.Get()
		}
		j.Clear()
		var html bool
		j.Source, html = documents.Document(nil, uint64(number), words.Draw(1, number), false)
		if html {
			j.Format = document.HTML
		}
		j.Run.Done = func(*workflow.Run[pipeline.Job]) {}
		if err := flow.Execute(j); err != nil {
			b.Fatal(err)
		}
		if number++; number <= 64 {
			continue // caches are cold
		}
		if fresh {
			storage.add(len(j.Source), float64(j.Footprint()+len(j.Source)))
			continue
		}
		for i := range functions {
			if j.Run.Outcome(i) == workflow.Ran {
				functions[i].add(len(j.Source), float64(j.Run.Took(i))/float64(time.Microsecond))
			}
		}
	}
	for i := range functions {
		fmt.Printf("%-10s %s us\n", flow.Flow.StepName(i), functions[i].String()) // a log is cut at ten lines
	}
	fmt.Printf("%-10s %s B\n", "storage", storage.String())
}

// fitted are values by size of a document.
type fitted struct {
	n, x, y, xx, xy float64
	atReference     []float64
}

func (f *fitted) add(size int, value float64) {
	x := float64(size)
	f.n, f.x, f.y, f.xx, f.xy = f.n+1, f.x+x, f.y+value, f.xx+x*x, f.xy+x*value
	if size > pipeline.ReferenceSize*9/10 && size < pipeline.ReferenceSize*11/10 {
		f.atReference = append(f.atReference, value)
	}
}

func (f *fitted) String() string {
	if len(f.atReference) == 0 {
		return "nothing measured"
	}
	slope := (f.n*f.xy - f.x*f.y) / (f.n*f.xx - f.x*f.x)
	slices.Sort(f.atReference)
	quantile := func(q float64) float64 { return f.atReference[int(q*float64(len(f.atReference)-1))] }
	return fmt.Sprintf("%.2f + %.3f a KB; at %d B median %.1f, p99 %.1f",
		(f.y-slope*f.x)/f.n, slope*1000, pipeline.ReferenceSize, quantile(0.5), quantile(0.99))
}
