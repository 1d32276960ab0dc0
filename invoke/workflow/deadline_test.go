package workflow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// takes makes a function that takes so long for each unit of size.
func takes(name string, perUnit time.Duration, needs ...string) function {
	return function{Name: name, Needs: needs, RunTime: perUnit, Run: func(r *run) error {
		<-time.After(time.Duration(r.Size) * perUnit)
		return nil
	}}
}

// crowd submits documents and gathers what becomes of them.
type crowd struct {
	refused, taken int
	late, complete int
	shed           map[string]int
	done           chan *run
}

func (c *crowd) submit(t *rapid.T, w *flow, size int) {
	err := w.Submit(&run{Document: &page{}, Size: size, Done: func(r *run) { c.done <- r }})
	var refusal *workflow.Refusal
	switch {
	case err == nil:
		c.taken++
	case errors.As(err, &refusal) && refusal.Retryable == (refusal.Reason != workflow.TooLarge):
		c.refused++
	default:
		t.Fatal(err)
	}
}

func (c *crowd) gather(w *flow) {
	for range c.taken {
		r := <-c.done
		if r.Late() {
			c.late++
		}
		if r.Err() == nil {
			c.complete++
		}
		for i, name := range w.Steps() {
			if r.Outcome(i) == workflow.Shed {
				c.shed[name]++
			}
		}
	}
}

// inBubble runs a crowd against a workflow in virtual time.
func inBubble(t *testing.T, check func(*rapid.T, *crowd, *workflow.Engine[page])) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			s := invoke.New(invoke.Config{Workers: 2, ShortWorkers: -1})
			e := workflow.New[page](s, workflow.Options{})
			check(rt, &crowd{shed: map[string]int{}, done: make(chan *run, 10000)}, e)
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	})
}

// A burst that fits in without the optional steps but not with them: nothing is late
// or refused, and what is declared to go first goes first.
func TestOptionalStepsGoFirst(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("required", 300*time.Microsecond), takes("summary", 100*time.Microsecond), takes("phrases", 50*time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Queue: 10000, Steps: []step{
			{Function: "summary", Shed: 1}, {Function: "phrases", Shed: 2}, {Function: "required"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(450, 570).Draw(t, "burst") // 2 workers do 570 x 0.3 ms in 86 ms
		for range n {
			c.submit(t, w, 1)
		}
		c.gather(w)
		if c.refused > 0 || c.late > 0 || c.complete != n {
			t.Fatalf("%d refused, %d late, %d of %d complete", c.refused, c.late, c.complete, n)
		}
		if c.shed["summary"] == 0 || c.shed["phrases"] > c.shed["summary"] {
			t.Fatalf("shed: %v", c.shed)
		}
	})
}

// A ShedMargin above Margin sheds earlier but refuses no earlier: a burst that fits in
// whole sheds nothing with the margin of old, and the optional steps of what waits longest
// with a wider one.
func TestSheddingBeginsBeforeRefusing(t *testing.T) {
	shed := func(t *testing.T, options workflow.Options) (c *crowd) {
		synctest.Test(t, func(t *testing.T) {
			s := invoke.New(invoke.Config{Workers: 2, ShortWorkers: -1})
			e := workflow.New[page](s, options)
			if err := e.Register(takes("required", 300*time.Microsecond), takes("summary", 100*time.Microsecond)); err != nil {
				t.Fatal(err)
			}
			w, err := e.Deploy(graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Queue: 10000, Steps: []step{
				{Function: "summary", Shed: 1}, {Function: "required"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			c = &crowd{shed: map[string]int{}, done: make(chan *run, 10000)}
			for range 400 { // 400 x 0.4 ms on two workers: 80 ms, more than half of the deadline
				if err := w.Submit(&run{Document: &page{}, Size: 1, Done: func(r *run) { c.done <- r }}); err != nil {
					c.refused++
					continue
				}
				c.taken++
			}
			c.gather(w)
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	late := shed(t, workflow.Options{Margin: 0.1})
	early := shed(t, workflow.Options{Margin: 0.1, ShedMargin: 0.5})
	for _, c := range []*crowd{late, early} {
		if c.refused+c.late > 0 || c.complete != 400 {
			t.Errorf("%d refused, %d late, %d complete", c.refused, c.late, c.complete)
		}
	}
	if late.shed["summary"] != 0 || early.shed["summary"] == 0 || early.shed["summary"] == 400 {
		t.Errorf("shed: %v with one margin for both, %v with a wider one for shedding", late.shed, early.shed)
	}
}

// Without need nothing is shed.
func TestNothingIsShedWithoutNeed(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("required", 300*time.Microsecond), takes("summary", 100*time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Queue: 10000, Steps: []step{
			{Function: "summary", Shed: 1}, {Function: "required"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 400).Draw(t, "burst") { // 400 x 0.4 ms on two workers: 80 ms
			c.submit(t, w, 1)
		}
		c.gather(w)
		if c.refused+c.late > 0 || len(c.shed) > 0 {
			t.Fatalf("%d refused, %d late, shed: %v", c.refused, c.late, c.shed)
		}
	})
}

// However many come, of whatever sizes, none that was taken is late, and the machine
// is used.
func TestWhatIsTakenIsInTime(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("required", 10*time.Microsecond), takes("summary", 3*time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{Name: "w", Deadline: 50 * time.Millisecond, Hard: true, Queue: 100000, Steps: []step{
			{Function: "required"}, {Function: "summary", Shed: 1},
		}})
		if err != nil {
			t.Fatal(err)
		}
		offered := time.Duration(0)
		for range 20 {
			for range rapid.IntRange(0, 100).Draw(t, "burst") {
				size := rapid.IntRange(10, 200).Draw(t, "size")
				offered += time.Duration(size) * 10 * time.Microsecond
				c.submit(t, w, size)
			}
			<-time.After(time.Duration(rapid.IntRange(0, 40).Draw(t, "ms")) * time.Millisecond)
		}
		c.gather(w)
		if c.late > 0 {
			t.Fatalf("%d of %d taken were late", c.late, c.taken)
		}
		if offered < 70*time.Millisecond && c.refused > 0 {
			t.Fatalf("%d refused of %v of work in all", c.refused, offered)
		}
	})
}

// What a caller reserves for the answer's way is left when the last step ends, however
// many documents come.
func TestReserveIsLeftAtTheEnd(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("work", time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Queue: 10000, Steps: steps("work")})
		if err != nil {
			t.Fatal(err)
		}
		reserve := time.Duration(rapid.IntRange(0, 60).Draw(t, "reserve")) * time.Millisecond
		ended, worst := make(chan *run, 10000), time.Duration(0)
		taken := 0
		for range rapid.IntRange(1, 400).Draw(t, "documents") {
			size := rapid.IntRange(1, 10).Draw(t, "size")
			if w.Submit(&run{Document: &page{}, Size: size, Reserve: reserve, Done: func(r *run) { ended <- r }}) == nil {
				taken++
			}
		}
		for range taken {
			r := <-ended
			if r.Err() == nil {
				worst = max(worst, r.Ended().Sub(r.Arrived))
			}
			if r.Overrun() != 0 {
				t.Errorf("overran by %v", r.Overrun())
			}
		}
		if taken == 0 || worst > 100*time.Millisecond-reserve {
			t.Errorf("%d taken, the last ended after %v with %v reserved", taken, worst, reserve)
		}
	})
}

// A hard document whose last step ends behind the deadline is refused after all.
func TestLateAfterAllIsRefused(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		stalls := takes("stalls", 200*time.Millisecond)
		stalls.RunTime = time.Millisecond // it says
		if err := e.Register(stalls); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Steps: steps("stalls")})
		if err != nil {
			t.Fatal(err)
		}
		c.submit(t, w, 1)
		r := <-c.done
		var refusal *workflow.Refusal
		if !errors.As(r.Err(), &refusal) || refusal.Reason != workflow.TooLate || !r.Late() || r.Overrun() < 190*time.Millisecond {
			t.Errorf("error %v, overrun %v", r.Err(), r.Overrun())
		}
	})
}

func TestTooLargeForItsDeadline(t *testing.T) {
	e := engine(t, takes("slow", time.Millisecond))
	w := deploy(t, e, graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Steps: steps("slow")})
	err := w.Submit(&run{Document: &page{}, Size: 101, Done: func(*run) { t.Error("done") }})
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != workflow.TooLarge || refusal.Retryable || !strings.Contains(err.Error(), "101ms after arrival, due after 100ms less 10ms kept free (fixed 0s + 1e+06 ns x size 101 = 101ms)") {
		t.Error(err)
	}
}

// A document that an idle machine refuses for its size whenever it comes is not to be sent
// again: neither for the margin of predictions, nor for what its caller always reserves.
func TestTooLargeForWhatIsLeftOfItsDeadline(t *testing.T) {
	for _, c := range []struct {
		size    int
		reserve []time.Duration // of it and those before it
		reason  workflow.Reason
		want    string
	}{
		{90, []time.Duration{0}, 0, ""},
		{91, []time.Duration{0}, workflow.TooLarge, "would end 91ms after arrival, due after 100ms less 10ms kept free (fixed"},
		{81, []time.Duration{10 * time.Millisecond}, workflow.TooLarge, "due after 100ms less 20ms kept free ("},
		{81, []time.Duration{0, 10 * time.Millisecond}, workflow.TooLate, "due after 100ms less 20ms kept free, retry"},
	} {
		e := engine(t, takes("slow", time.Millisecond))
		w := deploy(t, e, graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Steps: steps("slow")})
		last := len(c.reserve) - 1
		for _, before := range c.reserve[:last] {
			_ = w.Submit(&run{Document: &page{}, Size: 1000, Reserve: before, Done: func(*run) {}})
		}
		done := make(chan struct{}, 1)
		err := w.Submit(&run{Document: &page{}, Size: c.size, Reserve: c.reserve[last], Done: func(*run) { done <- struct{}{} }})
		if c.reason == 0 {
			if err != nil {
				t.Error(err)
			} else {
				<-done
			}
			continue
		}
		var refusal *workflow.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != c.reason || refusal.Retryable != (c.reason == workflow.TooLate) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d with %v: %v", c.size, c.reserve, err)
		}
	}
}

func TestAdmissionShowsItsArithmetic(t *testing.T) {
	e := engine(t, takes("parse", 20*time.Millisecond), takes("tags", 50*time.Millisecond, "parse"), takes("names", 40*time.Millisecond, "tags"), takes("topic", 30*time.Millisecond, "parse"))
	for _, c := range []struct {
		g    graph
		want string
	}{
		{graph{Name: "w", Deadline: 100 * time.Millisecond, Steps: steps("parse", "tags", "names", "topic")},
			"critical_path: parse 20ms + tags 50ms + names 40ms = 110ms > deadline 100ms"},
		{graph{Name: "w", Deadline: time.Second, Rate: 20, Steps: steps("parse", "tags", "topic")},
			"cores: w 20/s x 100ms = 2 cores > 1.6 (2 workers x 0.8 reservable)"},
		{graph{Name: "w", Deadline: time.Second, Rate: 20, Steps: steps("parse", "tags", "topic")},
			"functions: a document takes parse 20ms + tags 50ms + topic 30ms = 100ms"},
	} {
		_, err := e.Deploy(c.g)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	w := deploy(t, e, graph{Name: "w", Deadline: time.Second, Rate: 5, Steps: steps("parse", "tags", "topic")})
	if shares := w.Shares(); shares[0]+shares[1] < 999*time.Millisecond || shares[0]+shares[1] > time.Second {
		t.Error(shares)
	}
}

// A flood beyond the guarantee does not cost those within it.
func TestGuaranteeHoldsInAFlood(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("work", time.Millisecond), takes("other", time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		promised, err := e.Deploy(graph{Name: "promised", Deadline: 100 * time.Millisecond, Hard: true, Rate: 500, Burst: 20, Steps: steps("work")})
		if err != nil {
			t.Fatal(err)
		}
		flood, err := e.Deploy(graph{Name: "flood", Deadline: 100 * time.Millisecond, Hard: true, Steps: steps("other")})
		if err != nil {
			t.Fatal(err)
		}
		others := &crowd{shed: map[string]int{}, done: make(chan *run, 10000)}
		for range 30 {
			for range rapid.IntRange(0, 60).Draw(t, "flood") {
				others.submit(t, flood, 1)
			}
			for range 5 {
				c.submit(t, promised, 1)
			}
			<-time.After(10 * time.Millisecond)
		}
		c.gather(promised)
		others.gather(flood)
		if c.refused+c.late > 0 {
			t.Fatalf("%d refused and %d late within the guarantee", c.refused, c.late)
		}
	})
}
