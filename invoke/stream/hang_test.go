package stream

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// The function behind the outlet runs on the goroutine that passes records on, and
// hangs, as does Failed: records are decided all the while, others take the
// goroutine's place as often as is allowed, what is for the outlet is lost and
// counted, and closing ends.
func TestWhatHangsBehindAnOutlet(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	open := func() { once.Do(func() { close(release) }) }
	s := newScheduler(t)
	t.Cleanup(open) // before the scheduler is closed
	taker, err := s.Deploy(Receive(invoke.Spec{Name: "taker", Alone: true}, func(*Sample) { <-release }))
	if err != nil {
		t.Fatal(err)
	}
	arena := newArena(t, 64, 16)
	f := deploy(t, s, Spec{
		Name: "stream", Pace: Yielding, Pass: time.Millisecond, Patience: 8 * time.Millisecond,
		Program: &Program{Kernels: ladder(func(batch []Ref, out []Decision) {
			for i := range batch {
				out[i] = Selected
			}
		}, 1, 64)},
		Sources: []Source{&Schedule{Arena: arena, Rate: 20_000}}, Selected: Outlet{To: taker, Slots: 8},
		Failed: func(error) { <-release },
	})
	until(func() bool { return f.Stats().SelectedLost > 0 })
	for range 2 * mostStuck {
		f.report(func() error { return errors.New("told") })
	}
	until(func() bool { return f.Stats().SelectedLost > 2000 })
	f.Close()
	st := f.Stats()
	if len(st.Notes) == 0 || st.SelectedDone != 0 || st.Selected != st.Decided {
		t.Errorf("%d done, %d of %d selected, notes %v", st.SelectedDone, st.Selected, st.Decided, st.Notes)
	}
	open()
	until(func() bool {
		st := f.Stats()
		return st.SelectedDone+st.SelectedRefused+st.SelectedLost+8 >= st.Selected
	})
}

// A call that hangs is replaced once, however often it is looked at, and one that
// comes back late changes nothing.
func TestADrainerIsReplacedOnce(t *testing.T) {
	f := &Function{spec: Spec{Patience: time.Hour, Pass: time.Hour}, drained: make(chan struct{}), closing: make(chan struct{}), errors: make(chan error)}
	d := &drainer{function: f, timer: time.NewTimer(time.Hour)}
	defer d.timer.Stop()
	call := d.leave()
	for range 10 * patientLooks {
		d.look()
	}
	if d.stuck.Load() != 1 || d.back(call) || d.stuck.Load() != 0 {
		t.Errorf("%d replaced", d.stuck.Load())
	}
	// Many short calls are none that hang.
	for range 10 * patientLooks {
		call := d.leave()
		d.look()
		if !d.back(call) {
			t.Fatal("replaced")
		}
	}
	close(f.closing)
	<-f.drained
}

// Of two pollers one is in a kernel that does not return: closing ends with an error that
// names the function and the poller, the other has closed, what it selected was passed on,
// and the contract's core is free only once the kernel has returned.
func TestClosingWhileAKernelHangs(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	open := func() { once.Do(func() { close(release) }) }
	s := newScheduler(t)
	t.Cleanup(open)
	taker, err := s.Deploy(Receive(invoke.Spec{Name: "taker", Alone: true}, func(*Sample) {}))
	if err != nil {
		t.Fatal(err)
	}
	good, bad := newArena(t, 64, 16), newArena(t, 64, 16)
	for i := range bad.Len() {
		bad.Record(i)[0] = 1
	}
	var hangs atomic.Bool
	f := deploy(t, s, Spec{
		Name: "stream", Pace: Yielding, Pass: time.Millisecond, Patience: 50 * time.Millisecond,
		Program: &Program{Kernels: ladder(func(batch []Ref, out []Decision) {
			for i := range batch {
				out[i] = Selected
				if hangs.Load() && batch[i].Bytes(1)[0] == 1 {
					<-release
				}
			}
		}, 1, 64)},
		Sources:  []Source{&Schedule{Arena: good, Rate: 2000}, &Schedule{Arena: bad, Rate: 2000}},
		Selected: Outlet{To: taker},
	})
	hangs.Store(true)
	until(func() bool { return f.Stats().Stuck == 1 })
	for range 2 {
		var hung *HungError
		if err := f.Close(); !errors.As(err, &hung) || hung.Function != "stream" || !slices.Contains(hung.Pollers, 1) || !strings.Contains(err.Error(), "stream: closed, but") {
			t.Fatalf("%v", err)
		}
	}
	<-f.pollers[0].ended
	if f.pollers[0].selected.done.Load() == 0 {
		t.Error("nothing was passed on")
	}
	reserved := func() bool {
		for _, a := range s.Accounts().Functions {
			if a.Name == "stream" {
				return true
			}
		}
		return false
	}
	if !reserved() {
		t.Error("the contract ended although the kernel has the core")
	}
	open()
	<-f.pollers[1].ended
	until(func() bool { return !reserved() })
}
