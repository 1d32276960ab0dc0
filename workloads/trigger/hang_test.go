package trigger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
)

// chained is a chain, and updateModel, without a stream before them: a poller does not
// stand still for a clock that a test turns.
type chained struct {
	*Trigger
	t         *testing.T
	update    *invoke.Function
	scheduler *invoke.Scheduler
	mu        sync.Mutex
	errors    []error
	sequence  uint64
}

func newChain(t *testing.T, workers int, settings Settings) *chained {
	t.Helper()
	n, _, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	c := &chained{t: t, scheduler: invoke.New(invoke.Config{Workers: workers})}
	settings.Network = n
	settings.Failed = func(err error) {
		c.mu.Lock()
		c.errors = append(c.errors, err)
		c.mu.Unlock()
	}
	settings.setDefaults()
	c.Trigger = &Trigger{settings: settings, now: c.scheduler.Now, versions: make(map[uint64]*network.Network)}
	c.remember(n, 1)
	c.watch = newWatch(c.scheduler, settings.Bound, c.tell)
	if err := c.deployChain(c.scheduler, settings.Chain); err != nil {
		t.Fatal(err)
	}
	if err := c.deployUpdate(c.scheduler); err != nil {
		t.Fatal(err)
	}
	// As updateModel, but not with a slot of a stream's.
	c.update, err = c.scheduler.Deploy(invoke.Spec{
		Name: "samples", Alone: true, Run: func(inv *invoke.Invocation) { c.updater.receive(inv.Payload.(*stream.Sample)) },
		Refused: func(*invoke.Invocation, *invoke.Refusal) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.deployed = append(c.deployed, c.update)
	return c
}

// selected hands an event to the chain, as the stream's outlet does.
func (c *chained) selected(record byte) {
	c.sequence++
	data := make([]byte, 16)
	data[0] = record
	c.enter(&stream.Sample{Record: data, Sequence: c.sequence, Due: c.now()})
}

func (c *chained) hung(name string) (count int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, err := range c.errors {
		var stage *StageError
		if !errors.As(err, &stage) || stage.Function != name || stage.Sequence == 0 {
			c.t.Error(err)
		}
		if errors.Is(err, ErrHung) {
			count++
		}
	}
	return count
}

func pass(*Event) error { return nil }

// More events hang in a stage than there are workers: each ends with a typed error,
// the others go through on workers that take their place, what comes while too many
// hang is refused at once, and when they return all is as before.
func TestAStageThatHangs(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		synctest.Test(t, func(t *testing.T) { testAStageThatHangs(t, workers) })
	}
}

func testAStageThatHangs(t *testing.T, workers int) {
	release := make(chan struct{})
	c := newChain(t, workers, Settings{Chain: []Stage{
		{Name: "first", Run: pass},
		{Name: "second", Run: func(e *Event) error {
			if e.Record[0] == 1 {
				<-release
			}
			return nil
		}},
		{Name: "last", Run: pass},
	}})
	second, last := c.chain[1], c.chain[2]
	for range workers {
		c.selected(1)
	}
	c.selected(0)
	<-time.After(3 * time.Second) // its bound, and what waits may wait for a second
	if s := second.stats(); int(s.Hung) != workers || s.Failed != s.Hung || s.Hanging != workers || c.hung("second") != workers {
		t.Fatalf("%d workers: %+v", workers, s)
	}
	if workers < mostHanging {
		before := last.completed.Load()
		c.selected(0)
		synctest.Wait()
		if got := last.completed.Load(); got != before+1 {
			t.Errorf("%d workers: %d went through", workers, got-before)
		}
	}
	for range 5 * mostHanging {
		c.selected(1)
		<-time.After(2 * time.Second)
	}
	before := second.stats()
	if most := max(mostHanging, workers); before.Hanging != most {
		t.Errorf("%d workers: %d hang", workers, before.Hanging)
	}
	c.selected(0)
	synctest.Wait()
	if now := second.stats(); now.Refused != before.Refused+1 {
		t.Errorf("%d workers: not refused: %+v", workers, now)
	}
	// The stage before it, and updateModel, go on all the while.
	if got := c.chain[0].completed.Load(); got != c.sequence {
		t.Errorf("%d of %d went through the first", got, c.sequence)
	}
	close(release)
	synctest.Wait()
	for range 10 {
		c.selected(0)
		synctest.Wait()
	}
	s := second.stats()
	if s.Hanging != 0 || s.Completed < 10 || s.Completed != last.completed.Load() || s.Completed+s.Failed+s.Refused != c.sequence {
		t.Errorf("%d workers: %+v of %d", workers, s, c.sequence)
	}
	if err := errors.Join(c.closeChain(), c.scheduler.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

// closeChain is Close without a stream.
func (c *chained) closeChain() error {
	c.updater.stop()
	c.undeploy()
	c.watch.stop()
	return c.left()
}

// Closing waits for what hangs until its bound, says what it leaves, and lets nothing
// begin afterwards; what waits is refused.
func TestClosingWhileStagesHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := newChain(t, 1, Settings{Bound: 2 * time.Second, Chain: []Stage{
			{Name: "first", Run: pass},
			{Name: "second", Run: func(*Event) error { <-release; return nil }},
		}})
		for range 5 {
			c.selected(0)
		}
		synctest.Wait()
		began := time.Now()
		err := c.closeChain()
		var left *LeftError
		if !errors.As(err, &left) || left.Hanging["second"] != 1 || len(left.Hanging) != 1 {
			t.Error(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if s := c.chain[1].stats(); s.Hung != 1 || s.Refused != 4 {
			t.Errorf("%+v", s)
		}
		c.selected(0)
		if s := c.chain[0].stats(); s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		close(release)
		synctest.Wait()
		if err := errors.Join(c.closeChain(), c.scheduler.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
}

// What is slow, but returns within its bound, is let be, and waited for at the end.
func TestASlowStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, 1, Settings{Chain: []Stage{
			{Name: "first", Run: pass},
			{Name: "second", Run: func(*Event) error { <-time.After(900 * time.Millisecond); return nil }},
		}})
		c.selected(0)
		synctest.Wait()
		if err := c.closeChain(); err != nil {
			t.Error(err)
		}
		if s := c.chain[1].stats(); s.Completed != 1 || s.Hung != 0 {
			t.Errorf("%+v", s)
		}
		if err := c.scheduler.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A Truth that hangs costs its own samples; the chain goes on, and while too many hang
// samples are left out.
func TestATruthThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := newChain(t, 1, Settings{
			Chain:  []Stage{{Name: "first", Run: pass}, {Name: "last", Run: pass}},
			Update: Update{Truth: func(*stream.Sample) (int, bool) { <-release; return 0, true }},
		})
		submit := func(sequence uint64) {
			inv := &invoke.Invocation{Payload: &stream.Sample{Record: make([]byte, 16), Sequence: sequence}}
			if err := c.update.Submit(inv); err != nil {
				t.Error(err)
			}
		}
		for sequence := range uint64(3 * mostHanging) {
			submit(sequence + 1)
			<-time.After(2 * time.Second)
			c.selected(0)
		}
		synctest.Wait()
		if s := c.updater.snapshot(); s.Hung != mostHanging || s.Failed != s.Hung || s.Hanging != mostHanging || s.Suspended != 2*mostHanging || c.hung(UpdateName) != mostHanging {
			t.Errorf("%+v", s)
		}
		if got := c.chain[1].completed.Load(); got != c.sequence {
			t.Errorf("%d of %d went through", got, c.sequence)
		}
		close(release)
		synctest.Wait()
		submit(100)
		synctest.Wait()
		if s := c.updater.snapshot(); s.Hanging != 0 || s.Suspended != 2*mostHanging || s.Labelled != mostHanging+1 {
			t.Errorf("%+v", s)
		}
		if err := errors.Join(c.closeChain(), c.scheduler.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
}

// With pollers: while every run of the first stage and of updateModel hangs, records
// are decided, what is selected is accounted for, and closing ends.
func TestPollersGoOnWhileAllHangs(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	open := func() { once.Do(func() { close(release) }) }
	t.Cleanup(open)
	var begun atomic.Uint64
	b := newBench(t, func(s *Settings) {
		s.SelectedSlots, s.SampleSlots, s.SampleRate, s.Bound = 16, 16, 1e5, 40*time.Millisecond
		s.Chain = []Stage{{Name: "first", Run: func(*Event) error { begun.Add(1); <-release; return nil }}}
		s.Update.Truth = func(*stream.Sample) (int, bool) { begun.Add(1); <-release; return 0, true }
	})
	records, _ := jets(20, 500, detector.Conditions{}, 1)
	pushed := uint64(0)
	for {
		for _, record := range records {
			b.push(record)
		}
		pushed += uint64(len(records))
		s := b.trigger.Stats()
		if s.Chain[0].Hanging >= mostHanging && s.Chain[0].Refused > 0 && s.Update.Hanging >= mostHanging && s.Update.Suspended > 0 {
			break
		}
	}
	s := b.settle(pushed)
	if s.Inference.Records() != pushed || s.Chain[0].Completed != 0 || s.Chain[0].Hung < mostHanging || begun.Load() > 4*mostHanging {
		t.Errorf("%d of %d decided, %+v, %+v, %d begun", s.Inference.Records(), pushed, s.Chain[0], s.Update, begun.Load())
	}
	var left *LeftError
	if err := b.trigger.Close(); !errors.As(err, &left) || len(left.Hanging) != 2 {
		t.Error(err)
	}
	open()
}

// What a stage makes of an event does not stay in memory with the next one.
func TestAStageThatGrowsItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept atomic.Int64
		c := newChain(t, 1, Settings{Chain: []Stage{
			{Name: "first", Run: func(e *Event) error {
				kept.Store(max(kept.Load(), int64(cap(e.Encoded))))
				e.Encoded = make([]byte, 4*mostKept)
				return nil
			}},
		}})
		for range 20 {
			c.selected(0)
		}
		if kept.Load() != 0 {
			t.Errorf("%d bytes came back", kept.Load())
		}
		if err := errors.Join(c.closeChain(), c.scheduler.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
}
