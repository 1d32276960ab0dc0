package hub

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// town is a world of two cells with a crowd, its owner and its participants. It
// runs in a bubble, whose time stands still between ticks.
type town struct {
	*bench
	random    *rand.Rand
	confirmed map[world.Cell]bool
	truth     *truth
	spots     map[uint64][2]float64 // entity: metres east and north
	number    map[uint64]uint64     // actor: number of its last event
	events    map[world.Cell][]string
	watchers  []*watcher
	ticks     int
}

// watcher is a participant's view, by the rules of the protocol.
type watcher struct {
	client  *Client
	conn    *fakeConn
	avatar  uint64
	cells   map[world.Cell]*watchedCell
	told    map[string]int  // event: how often
	own     []string        // events of its own avatar, since it is in the view
	stalled bool            // its socket was full at some time: events may be missed
	seen    map[string]bool // told by a partial frame and not yet by the chain
}

type watchedCell struct {
	sequence uint64
	thinned  bool
	holds    map[uint64]uint64 // entity: sequence
	named    map[uint64]bool   // entity: its kind is known
}

func newTown(t *testing.T, seed uint64) *town {
	random := rand.New(rand.NewPCG(seed, 0))
	w := &town{bench: newBench(t, 1+random.IntN(2)), random: random, confirmed: map[world.Cell]bool{},
		truth: &truth{sequence: 1, cells: map[world.Cell]*truthCell{}, at: map[uint64]world.Cell{}},
		spots: map[uint64][2]float64{}, number: map[uint64]uint64{}, events: map[world.Cell][]string{}}
	w.hubs.config.Budget = Budget{Entities: 100, Bytes: 8 << 10}
	if w.between(0, 3) == 0 { // only those who ask are thinned
		w.hubs.config.Budget = Budget{}
	}
	w.hubs.config.Near = w.between(1, 12)
	return w
}

func (w *town) between(least, most int) int { return least + w.random.IntN(most-least+1) }

// failure ends a run: it is a panic because the run is in a bubble.
type failure string

func (w *town) failf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (w *town) update(entity uint64, change starlingv1.Change, by uint64) *starlingv1.Step {
	s := stateStep(entity, change, w.truth.sequence)
	u := s.GetUpdate()
	at := w.spots[entity]
	u.Pose.Position = &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{East: float32(at[0]), North: float32(at[1])}}}
	u.By = by
	return s
}

func (w *town) publish(steps map[world.Cell][]*starlingv1.Step) {
	w.bench.hubs.table.Messages(w.truth.commit(w.bench, steps))
}

// act does one thing.
func (w *town) act() {
	entity := uint64(w.between(1, 24))
	w.truth.sequence++
	from := w.truth.at[entity]
	say := map[world.Cell][]*starlingv1.Step{}
	switch kind := w.between(0, 19); {
	case from == 0:
		to := cellAt(w.between(1, 2))
		w.place(entity, to)
		say[to] = append(say[to], w.update(entity, starlingv1.Change_CREATED, entity))
	case kind == 0 && entity > 4: // no avatar
		delete(w.truth.at, entity)
		say[from] = append(say[from], w.update(entity, starlingv1.Change_REMOVED, 0))
	case kind == 1:
		to := cellAt(3 - indexOf(from))
		w.place(entity, to)
		left := w.update(entity, starlingv1.Change_LEFT, entity)
		left.GetUpdate().To = uint64(to)
		say[from] = append(say[from], left)
		say[to] = append(say[to], w.update(entity, starlingv1.Change_ENTERED, entity))
	case kind <= 5:
		say[from] = append(say[from], w.event(entity, from))
		if kind == 5 { // one action, two events
			again := w.event(entity, from)
			again.GetEvent().Number--
			w.number[entity]--
			say[from] = append(say[from], again)
		}
	default:
		w.place(entity, from)
		say[from] = append(say[from], w.update(entity, starlingv1.Change_CHANGED, uint64(w.between(1, 24))))
	}
	w.publish(say)
}

func (w *town) place(entity uint64, cell world.Cell) {
	w.truth.at[entity] = cell
	w.spots[entity] = [2]float64{float64(w.between(0, 8)) * 5, float64(w.between(0, 8)) * 5}
}

func (w *town) event(actor uint64, cell world.Cell) *starlingv1.Step {
	w.number[actor]++
	text := fmt.Sprintf("%d %d", actor, w.truth.sequence)
	e := &starlingv1.Event{Actor: actor, Number: w.number[actor], Version: &starlingv1.Version{Epoch: 1, Sequence: w.truth.sequence}}
	if w.between(0, 3) == 0 {
		e.What = &starlingv1.Event_Touched{Touched: &starlingv1.Touched{Entity: uint64(w.between(1, 24))}}
	} else {
		e.What = &starlingv1.Event_Text{Text: "!"}
	}
	text += fmt.Sprint(" ", len(w.events[cell])) // of an action's two, too
	e.What = &starlingv1.Event_Custom{Custom: &starlingv1.Custom{Name: text}}
	w.events[cell] = append(w.events[cell], text)
	for _, v := range w.watchers {
		if v.avatar == actor && v.cells[cell] != nil {
			v.own = append(v.own, text)
		}
	}
	return &starlingv1.Step{Is: &starlingv1.Step_Event{Event: e}}
}

// pass lets a tick of time go by.
func (w *town) pass() {
	<-time.After(tickEvery)
	w.ticks++
	for _, h := range w.hubs.hubs {
		h.tick(w.ticks, time.Now())
	}
	w.settle()
}

// settle lets all that is due within the next time be written.
func (w *town) settle() {
	for again := true; again; {
		w.turn()
		again = false
		for _, h := range w.hubs.hubs {
			if h.wheel.entries > 0 {
				again = true
				<-time.After(h.wheel.grain)
			}
		}
	}
	for cell, n := range w.watched {
		if n > 0 && !w.confirmed[cell] {
			w.hubs.table.Watching(w.shard(cell), cell)
		}
		w.confirmed[cell] = n > 0
	}
	w.turn()
	for _, r := range slices.Clone(w.reads) {
		c := w.truth.cell(r.cell)
		var steps []*starlingv1.Step
		for entity, sequence := range c.holds {
			s := w.update(entity, starlingv1.Change_PRESENT, 0)
			s.GetUpdate().Version.Sequence = sequence
			steps = append(steps, s)
		}
		w.answer(r.cell, c.sequence, steps...)
	}
	for _, v := range w.watchers {
		v.read(w)
	}
}

func (w *town) join(avatar uint64) {
	for w.truth.at[avatar] == 0 {
		w.truth.sequence++
		to := cellAt(w.between(1, 2))
		w.place(avatar, to)
		w.publish(map[world.Cell][]*starlingv1.Step{to: {w.update(avatar, starlingv1.Change_CREATED, avatar)}})
	}
	v := &watcher{conn: &fakeConn{room: -1}, avatar: avatar, cells: map[world.Cell]*watchedCell{}, told: map[string]int{}, seen: map[string]bool{}}
	asked := Budget{Entities: float64(w.between(0, 200))}
	v.client = w.hubs.Prepare(Newcomer{Conn: v.conn, Avatar: world.EntityID(avatar), Cell: w.truth.at[avatar], Ring: 1, Budget: w.hubs.Granted(asked)})
	v.client.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{}}})
	w.watchers = append(w.watchers, v)
	w.settle()
}

func (v *watcher) read(w *town) {
	for _, f := range frames(v.conn.messages(w.bench.t)) {
		id := world.Cell(f.Cell)
		c := v.cells[id]
		switch {
		case f.Unwatched:
			delete(v.cells, id)
			continue
		case f.Partial:
			if c == nil {
				w.failf("partial frame of a cell that was never told")
			}
			if !c.thinned && f.Sequence <= c.sequence {
				w.failf("partial frame of cell %d at %d, which is known to %d", indexOf(id), f.Sequence, c.sequence)
			}
		case f.Baseline:
			c = &watchedCell{holds: map[uint64]uint64{}, named: map[uint64]bool{}}
			v.cells[id] = c
		case c == nil || f.From != c.sequence:
			w.failf("client %d: cell %d goes from %d to %d, the view has %+v", v.avatar, indexOf(id), f.From, f.Sequence, c)
		}
		if !f.Partial {
			c.sequence, c.thinned = f.Sequence, f.Thinned
		}
		for _, commit := range f.Commits {
			for _, s := range commit.Steps {
				v.step(w, c, f, s)
			}
		}
	}
}

func (v *watcher) step(w *town, c *watchedCell, f *starlingv1.CellFrame, s *starlingv1.Step) {
	if e := s.GetEvent(); e != nil {
		text := e.GetCustom().GetName()
		switch {
		case f.Partial:
			v.seen[text] = true
			v.told[text]++
		case v.seen[text]:
			delete(v.seen, text)
		default:
			v.told[text]++
		}
		return
	}
	u := s.GetUpdate()
	was, there := c.holds[u.Entity]
	switch {
	case there && u.Version.Sequence < was:
	case u.Change == starlingv1.Change_LEFT || u.Change == starlingv1.Change_REMOVED:
		delete(c.holds, u.Entity)
		delete(c.named, u.Entity)
	default:
		c.holds[u.Entity] = u.Version.Sequence
		if u.Kind != "" {
			c.named[u.Entity] = true
		}
		if !c.named[u.Entity] {
			w.failf("client %d: entity %d appears without its kind", v.avatar, u.Entity)
		}
	}
}

// TestCrowdsAreThinnedWithoutLoss: whatever budgets clients have and however
// fast things happen, every view follows one chain, no event is told twice, what
// the own avatar does is told at once, and after quiet every view is the world.
func TestCrowdsAreThinnedWithoutLoss(t *testing.T) {
	thinned, partials := 0.0, 0.0
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		var failed failure
		synctest.Test(t, func(t *testing.T) {
			w := newTown(t, seed)
			defer func() {
				why := recover()
				if failed, _ = why.(failure); failed == "" && why != nil {
					panic(why)
				}
			}()
			w.run()
			thinned += counter(t, w.hubs.metrics.Thinned)
			partials += counter(t, w.hubs.metrics.NearDeliveries)
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
	if thinned == 0 || partials == 0 {
		t.Errorf("%v states thinned out, %v deliveries near: nothing was tested", thinned, partials)
	}
}

func (w *town) run() {
	w.join(1)
	for range w.between(1, 40) {
		switch w.between(0, 11) {
		case 0:
			if n := uint64(len(w.watchers)); n < 4 {
				w.join(n + 1)
			}
		case 1:
			v := w.watchers[w.between(0, len(w.watchers)-1)]
			v.conn.room, v.stalled = w.between(0, 3), true
		case 2:
			w.drain()
		case 3:
			v := w.watchers[w.between(0, len(w.watchers)-1)]
			v.client.SetBudget(w.hubs.Granted(Budget{Entities: float64(w.between(0, 200))}))
		case 4: // quiet for a while
			for range w.between(1, 60) {
				w.pass()
			}
		default:
			for range w.between(1, 8) {
				for range w.between(0, 30) {
					w.act()
				}
				w.pass()
			}
		}
	}
	w.drain()
	for range 80 { // four seconds
		w.pass()
	}
	w.check()
}

func (w *town) drain() {
	for _, v := range w.watchers {
		v.conn.room = -1
		v.client.Writable()
	}
	w.settle()
}

func (w *town) check() {
	for _, v := range w.watchers {
		if v.conn.closed != 0 { // it was stalled for too long
			continue
		}
		for _, i := range []int{1, 2} {
			c, is := v.cells[cellAt(i)], w.truth.cell(cellAt(i))
			if c == nil || c.thinned || !maps.Equal(c.holds, is.holds) || is.sequence > 0 && c.sequence != is.sequence {
				w.failf("client %d: cell %d holds %v at %d, the view %+v", v.avatar, i, is.holds, is.sequence, c)
			}
		}
		for text, n := range v.told {
			if n != 1 {
				w.failf("client %d was told %d times of %q", v.avatar, n, text)
			}
		}
		for _, text := range v.own {
			if !v.stalled && len(w.hubs.hubs) == 1 && v.told[text] != 1 { // another hub does not know what was told
				w.failf("client %d was never told of its own %q", v.avatar, text)
			}
		}
	}
	for _, h := range w.hubs.hubs {
		if len(h.crowds) > 0 && w.ticks > 0 {
			for crowd := range h.crowds {
				if crowd.viewers > 0 {
					w.failf("%d viewers after quiet", crowd.viewers)
				}
			}
		}
		for key, c := range h.cells {
			if len(c.frames) > 0 {
				w.failf("cell %d keeps %d frames", indexOf(key.cell), len(c.frames))
			}
		}
	}
}
