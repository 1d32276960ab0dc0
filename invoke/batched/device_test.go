package batched_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/batched"
)

// outcomes collects what a function's invocations come to.
type outcomes struct {
	batches chan []int
	failed  chan error
	refused chan *invoke.Refusal
}

func newOutcomes() *outcomes {
	return &outcomes{make(chan []int, 100), make(chan error, 100), make(chan *invoke.Refusal, 100)}
}

// spec is a function whose batches take 1 ms and 0.1 ms an item.
func (o *outcomes) spec(name string, contract invoke.Contract) batched.Spec {
	return batched.Spec{
		Name: name, Contract: contract, Model: batched.Model{Launch: time.Millisecond, PerItem: 100 * time.Microsecond},
		Run: func(batch []*batched.Invocation) error {
			<-time.After(time.Millisecond + time.Duration(len(batch))*100*time.Microsecond)
			var payloads []int
			for _, inv := range batch {
				payloads = append(payloads, inv.Payload.(int))
			}
			o.batches <- payloads
			return nil
		},
		Failed:  func(_ *batched.Invocation, err error) { o.failed <- err },
		Refused: func(_ *batched.Invocation, r *invoke.Refusal) { o.refused <- r },
	}
}

func submit(t *testing.T, f *batched.Function, payload int) {
	t.Helper()
	inv := &batched.Invocation{}
	inv.Payload = payload
	if err := f.Submit(inv); err != nil {
		t.Fatal(err)
	}
}

func TestADeviceRunsWhatCameTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2})
		defer s.Close(context.Background())
		d := batched.New(batched.Config{Name: "gpu", Scheduler: s, Cores: 0.5})
		o := newOutcomes()
		contract := invoke.Contract{Rate: 1000, Deadline: 20 * time.Millisecond, Memory: 1e6}
		f, err := d.Deploy(o.spec("render", contract))
		if err != nil {
			t.Fatal(err)
		}
		submit(t, f, 0) // nobody is expected: it runs at once
		synctest.Wait()
		submit(t, f, 1)
		submit(t, f, 2)
		for _, want := range []string{"[0]", "[1 2]"} {
			if got := fmt.Sprint(<-o.batches); got != want {
				t.Errorf("ran %s, want %s", got, want)
			}
		}
		if err := d.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		var refusal *invoke.Refusal
		if err := f.Submit(&batched.Invocation{}); !errors.As(err, &refusal) || refusal.Reason != invoke.SchedulerClosed || refusal.Function() != "render" {
			t.Error(err)
		}
		a := s.Accounts().Functions[0]
		if a.Name != "render" || a.Shape != invoke.Batched || a.Invocations != 3 || a.Busy != 2300*time.Microsecond ||
			a.Submitted != 4 || a.Refused() != 1 || a.Misses != 0 {
			t.Errorf("%+v", a)
		}
		if want := 1e6 / 1e9 * (1.1 + 2*1.2) / 1000; a.Used < want*0.999 || a.Used > want*1.001 {
			t.Errorf("used %v GB s, want %v", a.Used, want)
		}
		if stats := f.Stats(); stats.Batches != 2 || stats.Limit != 64 || len(stats.Predicted) != 64 || d.Stalled() != 0 {
			t.Errorf("%+v", stats)
		}
		f.Undeploy()
		if n := len(s.Accounts().Functions); n != 0 {
			t.Errorf("%d functions are left", n)
		}
	})
}

// What a device needs of the machine is kept on it, and refused with its arithmetic.
func TestADeviceSharesTheMachine(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 1})
	defer s.Close(context.Background())
	poller, err := s.Reserve(invoke.Reserve{Name: "poller", Shape: invoke.Stream, Cores: 0.7})
	if err != nil {
		t.Fatal(err)
	}
	d := batched.New(batched.Config{Scheduler: s})
	defer d.Close(context.Background())
	spec := newOutcomes().spec("model", invoke.Contract{Rate: 2000, Deadline: 20 * time.Millisecond})
	if _, err = d.Deploy(spec); err == nil || !strings.Contains(err.Error(), "cores: poller 0.7 + model 0.231 = 0.931 cores > 0.8") {
		t.Fatal(err)
	}
	poller.Release()
	if _, err = d.Deploy(spec); err != nil {
		t.Fatal("what was refused left something behind:", err)
	}
}

func TestFailuresAreToldAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := batched.New(batched.Config{})
		o := newOutcomes()
		spec := o.spec("f", invoke.Contract{})
		broken := errors.New("broken")
		calls := 0
		spec.Run = func([]*batched.Invocation) error {
			if calls++; calls == 1 {
				panic("wrong shape")
			}
			if calls == 2 {
				return broken
			}
			return nil
		}
		f, err := d.Deploy(spec)
		if err != nil {
			t.Fatal(err)
		}
		submit(t, f, 1)
		var panicked *batched.PanicError
		if err := <-o.failed; !errors.As(err, &panicked) || panicked.Value != "wrong shape" || len(panicked.Stack) == 0 {
			t.Error(err)
		}
		submit(t, f, 2)
		if err := <-o.failed; !errors.Is(err, broken) {
			t.Error(err)
		}
		submit(t, f, 3) // the device goes on
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if a := f.Account(); a.Failures != 2 || a.Invocations != 3 {
			t.Errorf("%+v", a)
		}
	})
}

// A batch that hangs is seen, and what waits behind it is told in time.
func TestADeviceThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := batched.New(batched.Config{})
		o := newOutcomes()
		spec := o.spec("f", invoke.Contract{Deadline: 10 * time.Millisecond, Hard: true})
		release := make(chan struct{})
		spec.Run = func([]*batched.Invocation) error { <-release; return nil }
		f, err := d.Deploy(spec)
		if err != nil {
			t.Fatal(err)
		}
		submit(t, f, 1)
		synctest.Wait()
		submit(t, f, 2)
		begun := time.Now()
		if r := <-o.refused; r.Reason != invoke.TooLate || time.Since(begun) > 15*time.Millisecond {
			t.Errorf("%v after %v", r, time.Since(begun))
		}
		<-time.After(time.Second)
		if d.Stalled() < time.Second {
			t.Error("hangs unseen")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		submit(t, f, 3)
		if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if r := <-o.refused; r.Reason != invoke.SchedulerClosed && r.Reason != invoke.TooLate {
			t.Error(r)
		}
		close(release)
		synctest.Wait()
	})
}

func TestUndeployRefusesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := batched.New(batched.Config{})
		o := newOutcomes()
		f, err := d.Deploy(o.spec("f", invoke.Contract{Deadline: time.Second}))
		if err != nil {
			t.Fatal(err)
		}
		submit(t, f, 1)
		synctest.Wait()
		submit(t, f, 2)
		f.Undeploy()
		if r := <-o.refused; r.Reason != invoke.FunctionClosed || r.Retryable {
			t.Error(r)
		}
		var refusal *invoke.Refusal
		if err := f.Submit(&batched.Invocation{}); !errors.As(err, &refusal) || refusal.Reason != invoke.FunctionClosed {
			t.Error(err)
		}
		<-o.batches // what ran goes on
		if _, err := d.Deploy(o.spec("f", invoke.Contract{})); err != nil {
			t.Error(err)
		}
		if _, err := d.Deploy(batched.Spec{Name: "g"}); err == nil {
			t.Error("a function without Run")
		}
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkDevice is what the device itself costs an item, with batches of up to 64
// that take no time.
func BenchmarkDevice(b *testing.B) {
	d := batched.New(batched.Config{})
	free := make(chan *batched.Invocation, 1024)
	f, err := d.Deploy(batched.Spec{
		Name: "empty", Contract: invoke.Contract{Deadline: time.Second}, Company: -1,
		Run: func(batch []*batched.Invocation) error {
			for _, inv := range batch {
				free <- inv
			}
			return nil
		},
		Failed:  func(*batched.Invocation, error) {},
		Refused: func(_ *batched.Invocation, r *invoke.Refusal) { b.Error(r) },
	})
	if err != nil {
		b.Fatal(err)
	}
	for range cap(free) {
		free <- new(batched.Invocation)
	}
	b.ReportAllocs()
	for b.Loop() {
		inv := <-free
		inv.Arrived, inv.Deadline = 0, 0
		if err := f.Submit(inv); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}
