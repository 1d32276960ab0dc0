package plan

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/scenario"
)

// One round trip at a time, no two within the interval, nothing lost, in order.
func TestLanesKeepTheirInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Costs{Storage: StoreCosts{RoundUS: rapid.Float64Range(0, 500).Draw(t, "round"), IntervalUS: rapid.SampledFrom([]float64{0, 1500, 2000}).Draw(t, "interval")}}
		m := &model{costs: c, random: rand.New(rand.NewPCG(1, 2)), part: part{stores: portion{1, 1, 0}, owners: portion{1, 1, 0}}}
		on := m.newMachine(2)
		o := &owner{model: m, machine: on, process: newProcess(on, 0, 0), lanes: make(map[*store]*lane)}
		s := &store{model: m, thread: thread{machine: on}}
		n := rapid.IntRange(1, 40).Draw(t, "appends")
		var told []int
		l := o.laneTo(s)
		for i := range n {
			at := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at")) * time.Microsecond
			m.after(at, func() {
				began := l.last
				l.submit(func() (int, func(*task)) {
					if !l.flight {
						t.Fatal("a batch is made before its round begins")
					}
					return 1, func(*task) { told = append(told, i) }
				})
				if l.last != began && l.last-began < us(c.Storage.IntervalUS) {
					t.Fatalf("round trips at %v and %v", began, l.last)
				}
			})
		}
		m.run(time.Second)
		slices.Sort(told)
		if len(told) != n || len(slices.Compact(told)) != n || l.flight || l.armed || s.turns > int64(n) {
			t.Fatalf("%d of %d told in %d turns", len(told), n, s.turns)
		}
	})
}

// crowded makes a process that is owner and gateway, and sends it so many actions a
// second, each for itself.
func crowded(t testing.TB, people int, c *Costs, together bool, during time.Duration) *model {
	t.Helper()
	s, err := scenario.Load("sparse")
	if err != nil {
		t.Fatal(err)
	}
	crowd, err := scenario.New(s, scenario.Options{Participants: people, Rate: 10, Seed: 1, Duration: during})
	if err != nil {
		t.Fatal(err)
	}
	return newModel(&Setup{Crowd: crowd, Scenario: s, Share: 1, Costs: c, Deployment: Deployment{
		Together: together, Cores: 2, Gateways: 1, Owners: 1, Stores: 1, FlushShare: 4 * time.Millisecond, Deadline: 15 * time.Millisecond,
	}})
}

func restingCosts() *Costs {
	c := &Costs{Cores: 2, WakeUS: 20, Storage: StoreCosts{RoundUS: 300, IntervalUS: 2000, MaxIntervalUS: 4000, OwnProcess: true}}
	c.Gateway = GatewayCosts{ActionUS: 4, EncodeUS: 4, CallUS: 20, WriteUS: 8, WakeUS: 60}
	c.Owner = OwnerCosts{ActionUS: 3, CommitUS: 15, RunUS: 5}
	return c
}

// While round trips follow each other no socket wakes a poller, and nothing lies
// unread for longer than a round; alone, an action is read at once.
func TestPollersRestBetweenRounds(t *testing.T) {
	m := crowded(t, 600, restingCosts(), true, 2*time.Second)
	rested, looks := 0, 0
	var look func()
	look = func() {
		looks++
		p := m.gateways[0].pollers[0]
		if m.gateways[0].resting {
			rested++
		} else if len(p.unread) > 0 {
			t.Fatal("actions lie unread, and nobody collects")
		}
		for _, a := range p.unread {
			if lay := m.now - a.came; lay > 6*time.Millisecond {
				t.Fatalf("an action lay unread for %v", lay)
			}
		}
		m.after(500*time.Microsecond, look)
	}
	m.after(500*time.Millisecond, look)
	m.run(2 * time.Second)
	if share := float64(rested) / float64(looks); share < 0.8 {
		t.Errorf("pollers rested %.2f of the time at 6,000 actions/s", share)
	}
	m.run(4 * time.Second) // the crowd is gone
	o := m.owners[0]
	if m.gateways[0].resting || o.drives != 0 || len(m.gateways[0].pollers[0].unread) > 0 {
		t.Errorf("nothing comes any more: resting %v, %d lanes collect", m.gateways[0].resting, o.drives)
	}
	alone := crowded(t, 4, restingCosts(), true, time.Second)
	alone.run(time.Second)
	if alone.gateways[0].resting {
		t.Error("pollers rest with 40 actions/s")
	}
}

// Gateways in processes of their own read what comes when it comes; and where rounds
// have no interval there is nothing to wait for.
func TestPollersDoNotRestElsewhere(t *testing.T) {
	c := restingCosts()
	c.Storage.IntervalUS, c.Storage.MaxIntervalUS = 0, 0
	m := crowded(t, 600, c, true, time.Second)
	apart := crowded(t, 600, restingCosts(), false, time.Second)
	for _, m := range []*model{m, apart} {
		for m.now < time.Second {
			m.run(m.now + time.Millisecond)
			if m.gateways[0].resting {
				t.Fatal("pollers rest")
			}
		}
	}
}

// One wake-up serves a round: a busy process lets cores rest less often.
func TestRestingSavesWakes(t *testing.T) {
	wakes := func(interval float64) (n int64) {
		c := restingCosts()
		c.Storage.IntervalUS, c.Storage.MaxIntervalUS = interval, interval
		m := crowded(t, 600, c, true, 2*time.Second)
		m.run(2 * time.Second)
		for _, thread := range m.processes[0].threads {
			n += thread.wakes
		}
		return n
	}
	if with, without := wakes(4000), wakes(0); float64(with) > 0.6*float64(without) {
		t.Errorf("%d wakes with resting pollers, %d without", with, without)
	}
}

// What comes to several pollers is collected once, by all, before the round begins.
func TestAllPollersAreCollected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{costs: &Costs{}, setup: &Setup{}, random: rand.New(rand.NewPCG(1, 2)), part: part{gateways: portion{1, 1, 0}}}
		on := m.newMachine(rapid.IntRange(1, 4).Draw(t, "cores"))
		p := newProcess(on, 0, 0)
		g := &gateway{model: m, process: p, resting: true}
		left := 0
		for range rapid.IntRange(1, 4).Draw(t, "pollers") {
			g.pollers = append(g.pollers, &poller{gateway: g, task: p.newTask(), route: func(*action) { left-- }})
		}
		for i := range rapid.IntRange(0, 30).Draw(t, "unread") {
			left++
			g.poller(int32(i)).arrive(&action{})
		}
		by, collected := p.newTask(), 0
		by.post(0, func() {
			g.collect(by, func() {
				collected++
				if left > 0 {
					t.Fatalf("%d are not read yet", left)
				}
			})
		})
		m.run(time.Second)
		if collected != 1 || left != 0 {
			t.Fatalf("collected %d times, %d left", collected, left)
		}
	})
}
