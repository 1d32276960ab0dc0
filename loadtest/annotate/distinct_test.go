package annotate

import (
	"context"
	"fmt"
	"testing"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/loadtest/annotate/corpus"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// BenchmarkDistinct measures the default workflow over 1 to 4,096 different documents of
// 300 words, a fifth of them HTML, that come round and round: what a processor learns of
// a document (its branches, which rows of the models it needs) helps while there are few.
// us-… are the means of the functions.
func BenchmarkDistinct(b *testing.B) {
	for _, n := range []int{1, 4, 16, 64, 256, 1024, 4096} {
		b.Run(fmt.Sprintf("documents=%d", n), func(b *testing.B) { benchmarkDistinct(b, n, 1) })
	}
}

// BenchmarkJobs measures the same with 1,024 documents that take turns with 1 to 1,000
// jobs, as those of a burst do that wait for each other: what a job holds of memory has left
// the cache when it is its turn again.
func BenchmarkJobs(b *testing.B) {
	for _, n := range []int{1, 200, 1000} {
		b.Run(fmt.Sprintf("jobs=%d", n), func(b *testing.B) { benchmarkDistinct(b, 1024, n) })
	}
}

func benchmarkDistinct(b *testing.B, n, jobs int) {
	scheduler := invoke.New(invoke.Config{Workers: 1})
	b.Cleanup(func() { _ = scheduler.Close(context.Background()) })
	p, err := pipeline.New(scheduler, pipeline.Options{})
	if err == nil {
		err = p.Deploy(pipeline.Defaults()...)
	}
	if err != nil {
		b.Fatal(err)
	}
	documents := corpus.Generated(corpus.Options{Seed: 1, HTMLShare: 0.2})
	sources, html := make([][]byte, n), make([]bool, n)
	for i := range sources {
		sources[i], html[i] = documents.Document(nil, uint64(i), 300, false)
	}
	flow := p.Workflow("default")
	all := make([]*pipeline.Job, jobs)
	for i := range all {
		all[i] = p.Get()
	}
	number := 0
	step := func() *pipeline.Job {
		j := all[number%jobs]
		j.Source = sources[number%n]
		if html[number%n] {
			j.Format = document.HTML
		}
		j.Run.Done = func(*workflow.Run[pipeline.Job]) {}
		if err := flow.Execute(j); err != nil {
			b.Fatal(err)
		}
		number++
		j.Clear()
		return j
	}
	for range max(min(n, 512), 2*jobs) {
		step()
	}
	took := make([]float64, flow.Flow.Len())
	count := 0
	b.ReportAllocs()
	for b.Loop() {
		j := step()
		for i := range took {
			took[i] += float64(j.Run.Took(i).Nanoseconds())
		}
		count++
	}
	for i, t := range took {
		b.ReportMetric(t/float64(count)/1000, "us-"+flow.Flow.StepName(i))
	}
}
