package generator

import (
	"slices"
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
)

// planned is an action of the crowd with those who must see it.
type planned struct {
	scenario.Action
	expected  []int32 // ascending; nil before the measured time
	near      []uint64
	uncertain int
}

// Bounds of how far the plan is ahead: it is made before the run as far as that,
// so that the run itself has that much less to do.
const (
	planBatch = 512
	planAhead = 256 // batches
)

// plan runs ahead of the loop: it asks the crowd who acts when and who must see
// it, and counts cells and crossings.
type plan struct {
	crowd   *scenario.Crowd
	from    time.Duration // of the measured time
	shards  world.ShardMap
	batches chan []planned
	stop    chan struct{}
	over    chan struct{} // closed once the rest may be read

	nearby *neighbourhood
	seen   sites
	at     []site
	cells  int64 // crossings
	beyond int64 // into another shard
}

// site is a cell of the map (place -1) or of a place.
type site struct {
	place int32
	cell  world.Cell
}

// sites are cells and shards in which somebody stood.
type sites struct {
	cells  map[site]struct{}
	shards map[site]struct{}
}

func newPlan(crowd *scenario.Crowd, from time.Duration, shards world.ShardMap) *plan {
	return &plan{
		crowd: crowd, from: from, shards: shards,
		batches: make(chan []planned, planAhead), stop: make(chan struct{}), over: make(chan struct{}),
		nearby: newNeighbourhood(crowd),
		seen:   sites{make(map[site]struct{}), make(map[site]struct{})},
		at:     make([]site, crowd.Participants()),
	}
}

// run makes the plan until the crowd has no more actions, or halt.
func (p *plan) run() {
	defer close(p.over)
	defer close(p.batches)
	for more := true; more; {
		batch := make([]planned, 0, planBatch)
		var space []int32 // expected, of several actions
		for len(batch) < planBatch {
			var a scenario.Action
			if a, more = p.crowd.Next(); !more {
				break
			}
			next := planned{Action: a}
			p.nearby.moved(&a)
			if a.Due >= p.from {
				expected, uncertain := p.crowd.Affected(&a)
				if cap(space)-len(space) < len(expected) {
					space = make([]int32, 0, max(4096, len(expected)))
				}
				begin := len(space)
				space = append(space, expected...)
				next.expected, next.uncertain = space[begin:len(space):len(space)], len(uncertain)
				slices.Sort(next.expected)
				next.near = p.nearby.near(&a, next.expected)
			}
			p.note(&a)
			batch = append(batch, next)
		}
		select {
		case p.batches <- batch:
		case <-p.stop:
			return
		}
	}
}

func (p *plan) halt() { close(p.stop) }

func (p *plan) note(a *scenario.Action) {
	here := site{a.Place, a.Cell}
	was := p.at[a.Participant]
	if was == here {
		return
	}
	p.at[a.Participant] = here
	shard := p.shardOf(here)
	p.seen.cells[here] = struct{}{}
	p.seen.shards[shard] = struct{}{}
	if was.cell != 0 && a.Due >= p.from {
		p.cells++
		if p.shardOf(was) != shard {
			p.beyond++
		}
	}
}

func (p *plan) shardOf(s site) site {
	if s.place >= 0 {
		return site{place: s.place}
	}
	return site{place: -1, cell: world.Cell(p.shards.Shard(0, s.cell).Cell)}
}
