package invoke

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// policyModel drives a Policy with random inputs and knows what it must answer.
type policyModel struct {
	policy    *Policy
	now       Instant
	workers   []*Run // nil: idle
	functions []*Function
	sets      []*Keys
	keys      []*Key

	waiting  []*Invocation       // taken by Submit, in order, not in a run
	fate     map[*Invocation]int // how often it was carried out
	running  map[*Key]bool
	perKey   map[*Key][]*Invocation // what must come next, in order
	refused  map[*Function]uint64
	finished map[*Function]uint64
	submits  map[*Function]uint64
}

func newPolicyModel(t *rapid.T) *policyModel {
	workers := rapid.IntRange(1, 4).Draw(t, "workers")
	m := &policyModel{
		now: 1_000_000_000, workers: make([]*Run, workers),
		fate: map[*Invocation]int{}, running: map[*Key]bool{}, perKey: map[*Key][]*Invocation{},
		refused: map[*Function]uint64{}, finished: map[*Function]uint64{}, submits: map[*Function]uint64{},
	}
	m.policy = NewPolicy(Config{Workers: workers, Random: rand.NewPCG(1, 1)}, m.now)
	for range 2 {
		set := m.policy.Keys("set", KeyOptions{MaxRun: rapid.IntRange(1, 5).Draw(t, "max run")})
		m.sets = append(m.sets, set)
		for range 3 {
			m.keys = append(m.keys, set.Open(len(m.keys)))
		}
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "functions") {
		m.deploy(t, i)
	}
	return m
}

func (m *policyModel) deploy(t *rapid.T, i int) {
	spec := Spec{Name: string(rune('a' + i)), Queue: Bounds{
		Count: rapid.IntRange(10, 40).Draw(t, "count"),
		Age:   time.Duration(rapid.IntRange(20, 200).Draw(t, "age")) * time.Millisecond,
	}}
	if set := rapid.IntRange(-1, 1).Draw(t, "key set"); set >= 0 {
		spec.Keys = m.sets[set]
	}
	if rapid.Bool().Draw(t, "guaranteed") {
		spec.Contract = Contract{
			Rate: float64(rapid.IntRange(1, 100).Draw(t, "rate")), Burst: rapid.IntRange(1, 5).Draw(t, "burst"),
			Deadline: time.Duration(rapid.IntRange(20, 100).Draw(t, "deadline")) * time.Millisecond,
			RunTime:  100 * time.Microsecond, Hard: rapid.Bool().Draw(t, "hard"),
		}
	} else if rapid.Bool().Draw(t, "long") {
		spec.Contract.RunTime = 5 * time.Millisecond
	}
	f, err := m.policy.Deploy(m.now, spec)
	if err == nil {
		m.functions = append(m.functions, f)
	}
}

func (m *policyModel) submit(t *rapid.T) {
	if len(m.functions) == 0 {
		return
	}
	f := rapid.SampledFrom(m.functions).Draw(t, "function")
	for range rapid.IntRange(1, 8).Draw(t, "how many") {
		inv := &Invocation{Sender: rapid.Uint64Range(0, 3).Draw(t, "sender")}
		if f.spec.Keys != nil {
			inv.Key = m.keys[rapid.IntRange(0, 2).Draw(t, "key")]
			if f.spec.Keys == m.sets[1] {
				inv.Key = m.keys[3+rapid.IntRange(0, 2).Draw(t, "key")]
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "inherits a deadline") == 0 {
			inv.Deadline = m.now.Add(time.Duration(rapid.IntRange(-5, 50).Draw(t, "due in")) * time.Millisecond)
		}
		m.submits[f]++
		if r := m.policy.Submit(m.now, f, inv); r != nil {
			m.refused[f]++
			m.checkRefusal(t, f, inv, r)
			continue
		}
		m.fate[inv] = 0
		m.waiting = append(m.waiting, inv)
		if inv.Key != nil {
			m.perKey[inv.Key] = append(m.perKey[inv.Key], inv)
		}
	}
}

func excessive(f *Function, key *Key) bool {
	if key == nil {
		return false
	}
	bound := f.excessBound()
	return bound > 0 && (key.excess >= bound || f.excess >= bound)
}

func (m *policyModel) checkRefusal(t *rapid.T, f *Function, inv *Invocation, r *Refusal) {
	waits, ofSender := 0, 0
	for _, w := range m.waiting {
		if w.fn == f {
			waits++
			if w.Sender == inv.Sender {
				ofSender++
			}
		}
	}
	switch r.Reason {
	case QueueFull:
		if waits < f.spec.Queue.Count-f.reserve && !excessive(f, inv.Key) {
			t.Fatalf("full with %d of %d (%d kept)", waits, f.spec.Queue.Count, f.reserve)
		}
	case SenderOverShare:
		if inv.Sender == 0 || ofSender == 0 {
			t.Fatalf("a sender with %d waiting is over its share", ofSender)
		}
	case TooLate:
		if !f.spec.Contract.Hard || m.now.Add(f.spec.Contract.RunTime) <= inv.Deadline {
			t.Fatalf("too late with %v left", inv.Deadline.Sub(m.now))
		}
	case KeyClosed:
		if !inv.Key.closed.Load() {
			t.Fatal("key is open")
		}
	default:
		t.Fatalf("refused: %v", r)
	}
	if r.Retryable && (r.RetryAfter < minRetryAfter/2 || r.RetryAfter > 2*maxRetryAfter) {
		t.Fatalf("retry after %v", r.RetryAfter)
	}
}

// order is what must go first: the lowest.
type order struct {
	rest bool
	due  Instant
	seq  uint64
}

func (a order) before(b order) bool {
	if a.rest != b.rest {
		return b.rest
	}
	return a.due < b.due || a.due == b.due && a.seq < b.seq
}

func orderOf(inv *Invocation) order { return order{!inv.privileged, inv.place.due, inv.place.seq} }

// orderOfKey is the order of the head, or of the most urgent of the rest if the
// head is part of it.
func orderOfKey(queue []*Invocation) order {
	first := orderOf(queue[0])
	for _, inv := range queue {
		if o := orderOf(inv); first.rest && o.rest && o.before(first) {
			first = o
		}
	}
	return first
}

// ready lists what may run now: unary invocations, and of keys that are not held
// the key's order.
func (m *policyModel) ready(longAllowed bool) []order {
	var ready []order
	for _, inv := range m.waiting {
		if inv.Key == nil && (longAllowed || !inv.fn.long) {
			ready = append(ready, orderOf(inv))
		}
	}
	for key, queue := range m.perKey {
		if len(queue) == 0 || m.running[key] || queue[0].fn.long && !longAllowed {
			continue
		}
		ready = append(ready, orderOfKey(queue))
	}
	return ready
}

func (m *policyModel) longRuns() (n int) {
	for _, run := range m.workers {
		if run != nil && run.long {
			n++
		}
	}
	return n
}

func (m *policyModel) take(t *rapid.T) {
	w := slices.Index(m.workers, nil)
	if w < 0 {
		return
	}
	ready := m.ready(m.longRuns() < m.policy.longWorkers())
	run := new(Run)
	if !m.policy.Take(m.now, run) {
		if len(ready) > 0 {
			t.Fatalf("a worker idles while %d wait", len(ready))
		}
		return
	}
	m.workers[w] = run
	taken := orderOf(run.Items[0].Invocation)
	if run.Key != nil {
		taken = orderOfKey(m.perKey[run.Key])
	}
	for _, o := range ready {
		if o.before(taken) {
			t.Fatalf("%+v was taken before %+v", taken, o)
		}
	}
	m.taken(t, run)
}

// taken checks that a run holds its key alone and has what comes next in it.
func (m *policyModel) taken(t *rapid.T, run *Run) {
	if len(run.Items) == 0 {
		t.Fatal("an empty run")
	}
	if run.Key != nil {
		if m.running[run.Key] {
			t.Fatal("two runs hold a key")
		}
		m.running[run.Key] = true
	}
	live := 0
	for i, item := range run.Items {
		inv := item.Invocation
		if run.Key != inv.Key {
			t.Fatal("an invocation of another key")
		}
		if inv.Key != nil {
			if m.perKey[inv.Key][i] != inv {
				t.Fatal("not in arrival order")
			}
		}
		at := slices.Index(m.waiting, inv)
		if at < 0 {
			t.Fatal("taken twice, or never submitted")
		}
		m.waiting = slices.Delete(m.waiting, at, at+1)
		if item.Refusal == nil {
			live++
			if m.now > inv.submitted.Add(inv.fn.spec.Queue.Age) {
				t.Fatal("runs over its age")
			}
		}
	}
	if run.Key != nil {
		m.perKey[run.Key] = m.perKey[run.Key][len(run.Items):]
		if live > run.Key.keys.options.MaxRun {
			t.Fatalf("%d in a run", live)
		}
	}
}

func (m *policyModel) finish(t *rapid.T) {
	w := rapid.IntRange(0, len(m.workers)-1).Draw(t, "worker")
	run := m.workers[w]
	if run == nil {
		return
	}
	m.workers[w] = nil
	done := rapid.IntRange(1, len(run.Items)).Draw(t, "done")
	m.carriedOut(t, run, done, time.Duration(rapid.IntRange(0, 3000).Draw(t, "us"))*time.Microsecond)
}

func (m *policyModel) carriedOut(t *rapid.T, run *Run, done int, each time.Duration) {
	for i := range run.Items[:done] {
		run.Recheck(m.now, i)
		item := &run.Items[i]
		if m.fate[item.Invocation]++; m.fate[item.Invocation] != 1 {
			t.Fatal("carried out twice")
		}
		if item.Refusal != nil {
			m.refused[item.fn]++
			continue
		}
		m.finished[item.fn]++
		item.Started = m.now
		m.now = m.now.Add(each)
		item.Ended = m.now
	}
	var back []*Invocation
	for _, item := range run.Items[done:] {
		back = append(back, item.Invocation)
	}
	m.waiting = append(m.waiting, back...)
	if run.Key != nil {
		m.perKey[run.Key] = append(back, m.perKey[run.Key]...)
		m.running[run.Key] = false
	}
	m.policy.Finished(m.now, run, done)
}

func (m *policyModel) expire(t *rapid.T) {
	for run := new(Run); m.policy.Expire(m.now, run); {
		m.taken(t, run)
		for _, item := range run.Items {
			if item.Refusal == nil {
				t.Fatal("Expire hands out work to run")
			}
		}
		m.carriedOut(t, run, len(run.Items), 0)
	}
	for _, inv := range m.waiting {
		if inv.Key == nil && m.now > inv.expires {
			t.Fatal("something expired still waits")
		}
	}
}

// check holds the accounts against what happened.
func (m *policyModel) check(t *rapid.T) {
	waiting := 0
	for _, a := range m.policy.Accounts(m.now).Functions {
		i := slices.IndexFunc(m.functions, func(f *Function) bool { return f.spec.Name == a.Name })
		f := m.functions[i]
		if a.Submitted != m.submits[f] || a.Invocations != m.finished[f] || a.Refused() != m.refused[f] {
			t.Fatalf("account %+v, but submitted %d, ran %d, refused %d", a, m.submits[f], m.finished[f], m.refused[f])
		}
		if a.Submitted != a.Invocations+a.Refused()+uint64(a.Waiting+a.Running) {
			t.Fatalf("does not add up: %+v", a)
		}
		waiting += a.Waiting
	}
	if waiting != len(m.waiting) || m.policy.Waiting() != len(m.waiting) {
		t.Fatalf("%d wait, the policy says %d", len(m.waiting), m.policy.Waiting())
	}
}

// drain runs everything to its end: nothing may be left.
func (m *policyModel) drain(t *rapid.T) {
	for len(m.waiting) > 0 || slices.ContainsFunc(m.workers, func(r *Run) bool { return r != nil }) {
		for w, run := range m.workers {
			if run != nil {
				m.workers[w] = nil
				m.carriedOut(t, run, len(run.Items), time.Microsecond)
			}
		}
		for range m.workers {
			m.take(t)
		}
	}
	for inv, n := range m.fate {
		if n != 1 {
			t.Fatalf("%+v was carried out %d times", inv, n)
		}
	}
	for _, f := range m.functions {
		for _, row := range f.senders.rows {
			if slices.ContainsFunc(row[:], func(n int32) bool { return n != 0 }) {
				t.Fatal("a sender is still counted")
			}
		}
	}
}

func TestPolicyAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newPolicyModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"submit": m.submit, "submit more": m.submit, "take": m.take, "take more": m.take,
			"finish": m.finish, "expire": m.expire, "": m.check,
			"wait": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "us")) * time.Microsecond)
			},
			"close a key": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					m.policy.CloseKey(rapid.SampledFrom(m.keys).Draw(t, "key"))
				}
			},
		})
		m.drain(t)
		m.check(t)
	})
}

// TestGuaranteeHoldsUnderFlood: on one worker, what keeps to an admitted contract
// never misses its deadline, whatever others send beyond theirs.
func TestGuaranteeHoldsUnderFlood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := Instant(time.Hour)
		p := NewPolicy(Config{Workers: 1, Random: rand.NewPCG(1, 1)}, start)
		var sources []*source
		for i := range rapid.IntRange(2, 5).Draw(t, "functions") {
			if s := newSource(t, p, start, i); s != nil {
				sources = append(sources, s)
			}
		}
		simulate(p, sources, start, start.Add(2*time.Second))
		for _, a := range p.Accounts(start.Add(3 * time.Second)).Functions {
			i := slices.IndexFunc(sources, func(s *source) bool { return s.fn.spec.Name == a.Name })
			// A flood in a key delays what is guaranteed in that key itself.
			if own := sources[i].flood && sources[i].key != nil; a.GuaranteedMisses > 0 && !own {
				t.Fatalf("%s: %d of %d guaranteed ones missed", a.Name, a.GuaranteedMisses, a.Guaranteed)
			}
			if !sources[i].flood && a.Refused() > 0 {
				t.Fatalf("%s keeps to its contract, but %d were refused", a.Name, a.Refused())
			}
		}
	})
}

// source sends a burst at once, again and again, within its contract or beyond.
type source struct {
	fn    *Function
	key   *Key
	flood bool
	count int
	every time.Duration
	next  Instant
}

func newSource(t *rapid.T, p *Policy, start Instant, i int) *source {
	spec := Spec{Name: string(rune('a' + i)), Contract: Contract{
		Rate:     float64(rapid.IntRange(1, 500).Draw(t, "rate")),
		Burst:    rapid.IntRange(1, 20).Draw(t, "burst"),
		Deadline: time.Duration(rapid.IntRange(2, 200).Draw(t, "deadline ms")) * time.Millisecond,
		RunTime:  time.Duration(rapid.IntRange(10, 3000).Draw(t, "run time us")) * time.Microsecond,
		Hard:     rapid.Bool().Draw(t, "hard"),
	}}
	s := &source{flood: rapid.Bool().Draw(t, "flood"), count: spec.Contract.Burst}
	if rapid.Bool().Draw(t, "keyed") {
		spec.Keys = p.Keys(spec.Name, KeyOptions{})
		s.key = spec.Keys.Open(i)
	}
	if rapid.IntRange(0, 3).Draw(t, "best effort") == 0 {
		spec.Contract = Contract{RunTime: spec.Contract.RunTime}
		s.flood, s.count = true, 20
	}
	fn, err := p.Deploy(start, spec)
	if err != nil {
		return nil
	}
	s.fn = fn
	s.every = time.Duration(math.Ceil(float64(s.count) / max(spec.Contract.Rate, 100) * 1e9))
	if c := spec.Contract; !s.flood {
		s.every = time.Duration(math.Ceil(float64(c.Burst)/c.Rate*1e9)) + 1
	} else {
		s.count *= 3
	}
	s.next = start.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "begins us")) * time.Microsecond)
	return s
}

// simulate runs one worker that takes the full run time for everything.
func simulate(p *Policy, sources []*source, now, end Instant) {
	submitUntil := func(until Instant) (next Instant) {
		for {
			first := slices.MinFunc(sources, func(a, b *source) int { return int(a.next - b.next) })
			if first.next > until {
				return first.next
			}
			for range first.count {
				p.Submit(first.next, first.fn, &Invocation{Key: first.key})
			}
			first.next = first.next.Add(first.every)
		}
	}
	if len(sources) == 0 {
		return
	}
	var run Run
	for now < end {
		next := submitUntil(now)
		if !p.Take(now, &run) {
			now = next
			continue
		}
		until, done := now.Add(p.config.Slice), 0
		for done < len(run.Items) && (done == 0 || now < until) {
			run.Recheck(now, done)
			if item := &run.Items[done]; item.Refusal == nil {
				item.Started = now
				now = now.Add(item.fn.spec.Contract.RunTime)
				submitUntil(now)
				item.Ended = now
			}
			done++
		}
		p.Finished(now, &run, done)
	}
}
