package actions_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/world"
)

// machine is a computer with one processor, whose time goes on while functions
// run and not otherwise: what arrives meanwhile arrives in the middle of a run.
type machine struct {
	now      atomic.Int64 // ns
	passing  sync.Mutex
	arrivals []arrivals
}

// arrivals come at fixed intervals, whatever becomes of them, for so long.
type arrivals struct {
	next, every time.Duration
	arrive      func(n int)
	n           int
}

const long = 150 * time.Millisecond

func (m *machine) clock() time.Time { return time.Unix(1_000_000, 0).Add(m.elapsed()) }

func (m *machine) elapsed() time.Duration { return time.Duration(m.now.Load()) }

func (m *machine) instant() invoke.Instant { return invoke.Instant(time.Hour + m.elapsed()) }

// until lets time pass. What arrives sees the time of its arrival.
func (m *machine) until(end time.Duration) {
	m.passing.Lock()
	defer m.passing.Unlock()
	for {
		var first *arrivals
		for i := range m.arrivals {
			if a := &m.arrivals[i]; a.next <= min(end, long) && (first == nil || a.next < first.next) {
				first = a
			}
		}
		if first == nil {
			m.reach(end)
			return
		}
		m.reach(first.next)
		first.next += first.every
		first.n++
		first.arrive(first.n)
	}
}

func (m *machine) reach(at time.Duration) {
	m.now.Store(max(m.now.Load(), int64(at)))
	runtime.Gosched() // to those who commit: their time is not counted
}

// costs makes a function take time.
func (m *machine) costs(r *actions.Registry, name string, cost time.Duration) {
	r.Wrap(name, func(run func(*actions.Call) actions.Result) func(*actions.Call) actions.Result {
		return func(c *actions.Call) actions.Result {
			m.until(m.elapsed() + cost)
			return run(c)
		}
	})
}

// player is one of those who act. It has one action under way at a time.
type player struct {
	session, number uint64
	busy            bool
}

// crowd are players who all do the same in one shard.
type crowd struct {
	bench   *bench
	shard   *clusterv1.ShardId
	act     func() *starlingv1.Act
	players []*player
	heard   int // outcomes of the edge looked at

	sent, refused, applied int
}

func newCrowd(t *testing.T, b *bench, at world.Geo, first uint64, size int, act func() *starlingv1.Act) *crowd {
	id, _ := shardAt(t, at)
	c := &crowd{bench: b, shard: world.ShardMessage(id), act: act}
	for i := range uint64(size) {
		b.attach(t, id, first+i, geoPose(at))
		c.players = append(c.players, &player{session: first + i, number: 1})
	}
	return c
}

// hear takes what the gateway was told.
func (c *crowd) hear() {
	e := c.bench.edge
	e.mu.Lock()
	defer e.mu.Unlock()
	for ; c.heard < len(e.outcomes); c.heard++ {
		o := e.outcomes[c.heard]
		i := o.Session - c.players[0].session
		if i >= uint64(len(c.players)) {
			continue
		}
		p := c.players[i]
		p.busy = false
		if o.Outcome.Code == starlingv1.Code_APPLIED {
			p.number++
			c.applied++
		} else {
			c.refused++
		}
	}
}

// one who has nothing under way acts.
func (c *crowd) one(n int) {
	c.hear()
	for i := range c.players {
		p := c.players[(n+i)%len(c.players)]
		if p.busy {
			continue
		}
		p.busy = true
		c.sent++
		act := c.act()
		act.Number = p.number
		c.bench.Act(c.bench.edge, &clusterv1.RoutedAct{Shard: c.shard, Session: p.session, Act: act})
		return
	}
}

// TestAFloodCostsNobodyElseTheContract: on a machine with one worker, four
// thousand moves a second keep their contract, and so does the work of the shards
// themselves, whoever floods which shard with what: the flood is refused.
func TestAFloodCostsNobodyElseTheContract(t *testing.T) {
	elsewhere := world.Geo{Lat: taipei.Lat + 0.5, Lng: taipei.Lng, Alt: 10}
	speak := func() *starlingv1.Act {
		return &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "!"}}}}
	}
	call := func(name string) func() *starlingv1.Act {
		return func() *starlingv1.Act {
			return &starlingv1.Act{Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: name}}}
		}
	}
	for name, flood := range map[string]struct {
		act   func() *starlingv1.Act
		at    world.Geo
		every time.Duration // less than it takes
		cost  time.Duration
	}{
		"speech in the same shard":                    {speak, taipei, 10 * time.Microsecond, 20 * time.Microsecond},
		"speech elsewhere":                            {speak, elsewhere, 10 * time.Microsecond, 20 * time.Microsecond},
		"a slow function of a game in the same shard": {call("slow"), taipei, 50 * time.Microsecond, 300 * time.Microsecond},
		"a slow function of a game elsewhere":         {call("slow"), elsewhere, 50 * time.Microsecond, 900 * time.Microsecond},
		"calls of a function that there is not":       {call("none"), taipei, 20 * time.Microsecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { floodWith(t, flood.act, flood.at, flood.every, flood.cost) })
		})
	}
}

func floodWith(t *testing.T, act func() *starlingv1.Act, at world.Geo, every, cost time.Duration) {
	m := &machine{}
	registry := actions.NewRegistry()
	err := registry.Register(actions.Function{Name: "slow", Run: func(*actions.Call) actions.Result {
		return actions.Result{Code: starlingv1.Code_APPLIED}
	}})
	if err != nil {
		t.Fatal(err)
	}
	scheduler := invoke.New(invoke.Config{Workers: 1, Clock: m.instant})
	b := newBench(t, func(o *actions.Options) {
		o.Lending = false // who arrives in the middle of a run cannot run anything
		o.Registry, o.Scheduler, o.Clock, o.TickEvery = registry, scheduler, m.clock, time.Hour
	})
	home, cell := shardAt(t, taipei)
	movers := newCrowd(t, b, taipei, 1000, 200, func() *starlingv1.Act {
		return &starlingv1.Act{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: geoPose(taipei)}}}
	})
	flooders := newCrowd(t, b, at, 2000, 300, act)
	m.costs(registry, "move", 20*time.Microsecond)
	if name := shard.Name(act()); name != "none" {
		m.costs(registry, name, cost)
	}
	synctest.Wait()
	m.arrivals = []arrivals{
		{every: 250 * time.Microsecond, arrive: movers.one},
		{every: every, arrive: flooders.one},
		{every: 5 * time.Millisecond, arrive: func(n int) {
			b.ReadCell(b.edge, &clusterv1.ReadCell{Request: uint64(n), Shard: world.ShardMessage(home), Cell: uint64(cell)})
			b.Renew(b.edge, &clusterv1.Renew{Shard: world.ShardMessage(home), Sessions: []uint64{1000}})
		}},
	}
	for m.elapsed() <= long { // the processor has nothing to do: on to the next arrival
		next := m.arrivals[0].next
		for _, a := range m.arrivals {
			next = min(next, a.next)
		}
		m.until(next)
		synctest.Wait()
	}
	movers.hear()
	flooders.hear()
	for _, a := range scheduler.Accounts().Functions {
		switch a.Name {
		case "move", actions.ShardWork, actions.CellReads:
			if a.Guaranteed == 0 || a.MissRate() > a.Contract.MissTarget || a.Refused() > 0 {
				t.Errorf("%s: %d of %d guaranteed ones missed, %d refused", a.Name, a.GuaranteedMisses, a.Guaranteed, a.Refused())
			}
		}
	}
	if movers.applied != movers.sent || movers.sent < 150 {
		t.Errorf("%d of %d moves were applied, %d refused", movers.applied, movers.sent, movers.refused)
	}
	if flooders.refused == 0 || flooders.applied == 0 && cost > 0 {
		t.Errorf("of the flood %d were applied and %d refused", flooders.applied, flooders.refused)
	}
	t.Logf("%d moves; of the flood %d applied, %d refused", movers.applied, flooders.applied, flooders.refused)
}
