package invoke_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// bench submits b.N empty invocations, at most depth of them under way, over keys
// keys (0 is unary).
func bench(b *testing.B, keyCount, depth int) {
	s := invoke.New(invoke.Config{})
	free := make(chan *invoke.Invocation, depth)
	var ran atomic.Int64
	spec := invoke.Spec{
		Name:     "empty",
		Contract: invoke.Contract{Rate: 1000, Deadline: time.Second, RunTime: 10 * time.Microsecond},
		Run:      func(inv *invoke.Invocation) { ran.Add(1); free <- inv },
		Refused:  func(_ *invoke.Invocation, r *invoke.Refusal) { b.Error(r) },
	}
	var keys []*invoke.Key
	if keyCount > 0 {
		spec.Keys = s.Keys("keys", invoke.KeyOptions{AfterRun: func(*invoke.Key) {}})
		for i := range keyCount {
			keys = append(keys, spec.Keys.Open(i))
		}
	}
	fn, err := s.Deploy(spec)
	if err != nil {
		b.Fatal(err)
	}
	for range depth {
		free <- new(invoke.Invocation)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		inv := <-free
		*inv = invoke.Invocation{}
		if keyCount > 0 {
			inv.Key = keys[i%keyCount]
		}
		if err := fn.Submit(inv); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	if int(ran.Load()) != b.N {
		b.Fatalf("ran %d of %d", ran.Load(), b.N)
	}
}

func BenchmarkUnaryOneByOne(b *testing.B)   { bench(b, 0, 1) }
func BenchmarkUnaryFlow(b *testing.B)       { bench(b, 0, 1024) }
func BenchmarkKeyedOneByOne(b *testing.B)   { bench(b, 1, 1) }
func BenchmarkKeyedFlow(b *testing.B)       { bench(b, 16, 1024) }
func BenchmarkKeyedFlowOneKey(b *testing.B) { bench(b, 1, 1024) }

// Batches: 64 invocations of one key are submitted while its worker is held, and
// run in one go.
func BenchmarkKeyedBatch64(b *testing.B) {
	p := invoke.NewPolicy(invoke.Config{Workers: 1}, 1)
	keys := p.Keys("keys", invoke.KeyOptions{})
	key := keys.Open(1)
	fn, err := p.Deploy(1, invoke.Spec{
		Name: "empty", Keys: keys,
		Contract: invoke.Contract{Rate: 1000, Deadline: time.Second, RunTime: time.Microsecond},
	})
	if err != nil {
		b.Fatal(err)
	}
	var run invoke.Run
	invs := make([]invoke.Invocation, 64)
	now := invoke.Instant(1)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 64 {
		for j := range invs {
			invs[j] = invoke.Invocation{Key: key, Sender: uint64(j + 1)}
			if r := p.Submit(now, fn, &invs[j]); r != nil {
				b.Fatal(r)
			}
		}
		if !p.Take(now, &run) || len(run.Items) != 64 {
			b.Fatal("not one run of 64")
		}
		now += 1000
		p.Finished(now, &run, 64)
	}
	runtime.KeepAlive(invs)
}
