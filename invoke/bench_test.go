package invoke_test

import (
	"context"
	"runtime"
	"sync"
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

// BenchmarkOpenLoop reports the queue time, wake-up included, of empty invocations
// that come every interval from elsewhere.
func BenchmarkOpenLoop(b *testing.B) {
	for _, rate := range []int{1000, 20000} {
		b.Run(time.Duration(int(time.Second)/rate).String(), func(b *testing.B) {
			s := invoke.New(invoke.Config{})
			keys := s.Keys("keys", invoke.KeyOptions{})
			key := keys.Open(1)
			pool := sync.Pool{New: func() any { return new(invoke.Invocation) }}
			fn := mustDeploy(b, s, invoke.Spec{Name: "empty", Keys: keys, Run: func(inv *invoke.Invocation) { pool.Put(inv) }})
			tick := time.NewTicker(time.Second / time.Duration(min(rate, 1000)))
			defer tick.Stop()
			b.ResetTimer()
			for i := 0; i < b.N; {
				<-tick.C
				for range max(rate/1000, 1) {
					inv := pool.Get().(*invoke.Invocation)
					*inv = invoke.Invocation{Key: key}
					mustSubmit(b, fn, inv)
					i++
				}
			}
			mustClose(b, s)
			q := s.Accounts().Functions[0].QueueTime
			b.ReportMetric(float64(q.Quantile(0.5).Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(q.Quantile(0.99).Nanoseconds()), "p99-ns")
			b.ReportMetric(float64(s.Accounts().Keys[0].Runs)/float64(b.N), "runs/op")
		})
	}
}

// BenchmarkParallelSubmit lets every core submit, each to its own key: the lock is
// fought over by them and the workers.
func BenchmarkParallelSubmit(b *testing.B) {
	s := invoke.New(invoke.Config{})
	keys := s.Keys("keys", invoke.KeyOptions{})
	pool := sync.Pool{New: func() any { return new(invoke.Invocation) }}
	recycle := func(inv *invoke.Invocation) { pool.Put(inv) }
	fn := mustDeploy(b, s, invoke.Spec{Name: "empty", Keys: keys, Queue: invoke.Bounds{Count: 1 << 20, Age: time.Minute},
		Run: recycle, Refused: func(inv *invoke.Invocation, _ *invoke.Refusal) { recycle(inv) }})
	var refused atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		key := keys.Open(1)
		for pb.Next() {
			inv := pool.Get().(*invoke.Invocation)
			*inv = invoke.Invocation{Key: key}
			for fn.Submit(inv) != nil {
				refused.Add(1)
				runtime.Gosched()
			}
		}
	})
	mustClose(b, s)
	b.ReportMetric(float64(refused.Load())/float64(b.N), "refused/op")
}
