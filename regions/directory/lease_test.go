package directory

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The pure machines of several processes, whose clocks run at different rates and
// which pause at any point, share a store that answers slowly, loses requests and
// replies, goes away, and comes back with records lost. Whenever a process holds
// another one for dead, that one's lease was over when the deciding reading was
// sent, and it holds none after that without having begun a new term (in which
// it is silent until it has verified its tails).
func TestDeadProcessesHoldNoLease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := DefaultConfig()
		s := newSimulation(cfg, rapid.IntRange(2, 5).Draw(t, "nodes"))
		for i := range s.nodes {
			// Up to half a per cent fast or slow.
			s.nodes[i].rate = 1 + rapid.Float64Range(-0.005, 0.005).Draw(t, "rate")
		}
		for range rapid.IntRange(20, 250).Draw(t, "steps") {
			s.step(t)
			s.check(t)
		}
	})
}

// simulation is a store and its users in true time.
type simulation struct {
	cfg   Config
	now   time.Duration // true time
	nodes []*simulated
	table map[string]Record
	away  bool // the store does not answer
}

type simulated struct {
	id     string
	rate   float64
	lease  lease
	judge  *judge
	record Record

	// The request under way: sent, perhaps applied, not yet answered.
	underway bool
	sent     time.Duration // by the node's clock
	applied  bool
	shown    []*Record
	write    Record
	before   []held // the others' leases when it was sent

	mourned map[string]uint64 // the term of those held for dead
}

// held is a process's lease at some time.
type held struct {
	id    string
	term  uint64
	holds bool
}

func newSimulation(cfg Config, n int) *simulation {
	s := &simulation{cfg: cfg, table: map[string]Record{}}
	for i := range n {
		id := string(rune('a' + i))
		s.nodes = append(s.nodes, &simulated{
			id: id, lease: lease{valid: cfg.valid()}, judge: newJudge(id, cfg.Death, cfg.gap()),
			record: Record{ID: id, Incarnation: uint64(i + 1)}, mourned: map[string]uint64{},
		})
	}
	return s
}

func (s *simulation) clock(n *simulated) time.Duration { return time.Duration(float64(s.now) * n.rate) }

func (s *simulation) step(t *rapid.T) {
	pause := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 20 * time.Millisecond, 250 * time.Millisecond, 700 * time.Millisecond, 1300 * time.Millisecond, 4 * time.Second})
	s.now += pause.Draw(t, "time passes")
	n := s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(t, "node")]
	switch rapid.SampledFrom([]string{"send", "apply", "answer", "lose", "outage", "failover", "cycle", "cycle", "all", "watch", "watch"}).Draw(t, "what") {
	case "send":
		s.send(n)
	case "apply":
		s.apply(n)
	case "answer":
		s.answer(n)
	case "lose": // the reply, or the whole request
		n.underway = false
	case "outage":
		s.away = !s.away
	case "failover": // takes a while, and loses a record
		delete(s.table, n.id)
		s.now += 2 * time.Second
	case "cycle":
		s.cycle(n)
	case "watch": // for about as long as death takes, while the others stand still
		s.away = false
		s.cycle(n)
		for range 6 {
			s.now += 250 * time.Millisecond
			s.cycle(n)
			s.check(t)
		}
		s.now += rapid.SampledFrom([]time.Duration{1, 30 * time.Millisecond, 200 * time.Millisecond}).Draw(t, "and a bit")
		s.cycle(n)
	case "all":
		for _, n := range s.nodes {
			s.cycle(n)
		}
	}
}

func (s *simulation) cycle(n *simulated) {
	s.send(n)
	s.apply(n)
	s.answer(n)
}

func (s *simulation) send(n *simulated) {
	if n.underway {
		return
	}
	n.record.Counter++
	n.underway, n.applied, n.sent, n.write = true, false, s.clock(n), n.record
	n.before = n.before[:0]
	for _, m := range s.nodes {
		n.before = append(n.before, held{m.id, m.lease.term, m.lease.holds(s.clock(m))})
	}
}

func (s *simulation) apply(n *simulated) {
	if !n.underway || n.applied || s.away {
		return
	}
	s.table[n.id] = n.write
	n.applied, n.shown = true, nil
	for _, r := range s.table {
		n.shown = append(n.shown, &r)
	}
}

func (s *simulation) answer(n *simulated) {
	if !n.underway || !n.applied {
		return
	}
	n.underway = false
	if s.clock(n)-n.sent > s.cfg.Timeout {
		return
	}
	n.lease.renew(n.sent, s.clock(n))
	n.judge.read(n.sent, s.clock(n), n.shown)
}

func (s *simulation) check(t *rapid.T) {
	for _, watcher := range s.nodes {
		for i, n := range s.nodes {
			seen := watcher.judge.nodes[n.id]
			if n == watcher || seen == nil || !seen.dead {
				delete(watcher.mourned, n.id)
				continue
			}
			if _, known := watcher.mourned[n.id]; !known {
				before := watcher.before[i]
				if before.holds {
					t.Fatalf("%s found %s dead by a reading sent while its lease held", watcher.id, n.id)
				}
				watcher.mourned[n.id] = before.term
			}
			if n.lease.holds(s.clock(n)) && n.lease.term <= watcher.mourned[n.id] {
				t.Fatalf("%s, dead for %s, holds the lease of term %d", n.id, watcher.id, n.lease.term)
			}
		}
	}
}

// A lapse begins a new term, and the term is silent until its tails are verified.
func TestNewTermIsSilentUntilVerified(t *testing.T) {
	valid := 1200 * time.Millisecond
	l := lease{valid: valid, mustVerify: true}
	if !l.renew(0, 10*time.Millisecond) || l.term != 1 || !l.holds(valid-1) || l.holds(valid) {
		t.Fatalf("first renewal: term %d", l.term)
	}
	if l.renew(time.Second, 1100*time.Millisecond) || !l.holds(2*time.Second) {
		t.Fatal("a renewal in time begins no new term")
	}
	// Sent in time, answered after the lapse: too late.
	if !l.renew(2*time.Second, 2300*time.Millisecond) || l.term != 2 {
		t.Fatal("a renewal answered after the lapse must begin a new term")
	}
	if l.holds(2300 * time.Millisecond) {
		t.Fatal("the new term must be silent until verified")
	}
	if l.renew(2500*time.Millisecond, 2510*time.Millisecond) || l.holds(2510*time.Millisecond) {
		t.Fatal("renewing does not verify")
	}
	l.confirm(1)
	if l.holds(2510 * time.Millisecond) {
		t.Fatal("confirmed for an earlier term")
	}
	l.confirm(2)
	if !l.holds(2510*time.Millisecond) || l.holds(2500*time.Millisecond+valid) {
		t.Fatal("verified: holds from the last renewal on")
	}
	// Lost again while unverified: the confirmation that comes late is void.
	l.renew(10*time.Second, 10*time.Second)
	l.renew(20*time.Second, 20*time.Second)
	l.confirm(3)
	if l.term != 4 || l.holds(20*time.Second) {
		t.Fatalf("term %d: a confirmation of a lost term must not count", l.term)
	}
}
