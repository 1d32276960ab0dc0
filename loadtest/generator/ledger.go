package generator

import (
	"math/bits"
	"slices"
	"time"

	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/loadtest/report"
)

// ledger keeps, for each action of the measured time, who must see it, and notes
// who did and when. Times are nanoseconds since the crowd's start. It knows
// nothing of sockets: the loop tells it what was sent and what came.
//
// A watcher has seen an action when an update or event bears the actor's avatar
// and the action's number; or, of an action that changes an entity's state, when
// any update of that entity is at least as new: then it came conflated.
type ledger struct {
	deadline, grace  int64
	measured, length int64 // the measured time: its begin and length

	entities []entity
	table    idTable // entity ids
	events   [][]int64
	viewers  []viewer

	ring       []action // those with sequence numbers head..tail-1
	head, tail int64

	seconds  []*second // those not settled, oldest first
	settled  []report.Second
	total    report.Counts
	latency  *report.Histogram
	outcome  *report.Histogram
	gap      *report.Histogram
	affected *report.Histogram
	work     [32]report.Work
	nearest  report.NearestCounts
	nearUS   *report.Histogram
	dense    bool // somebody was not among the nearest
	kept     []int
	refusals map[string]int64
	asked    []asked
}

// alsoAt is the second deadline that misses are counted at.
const alsoAt = int64(30 * time.Millisecond)

// entity is an avatar or a thing.
type entity struct {
	owner int32
	open  []int64 // actions that change it and were not seen by all
}

// viewer is a participant who watches.
type viewer struct {
	expectedFrom int64 // actions due from then on are expected to reach it
	lastUpdate   int64 // 0: none yet
	ignored      bool  // nothing is expected to reach it
}

// asked counts a participant's own actions.
type asked struct{ offered, refused int32 }

type fate byte

const (
	unanswered fate = iota
	refusedForNow
	refusedForGood
	applied
)

// action is one action and what is known of it.
type action struct {
	due         int64
	participant int32
	entity      int32 // whose state it changes; -1: it is an event, or was not sent
	number      uint64
	avatar      uint64
	version     wire.Version // of its update, once that was seen by anybody
	expected    []int32      // ascending; those who saw it are ^participant
	near        []uint64     // those of expected to whom the actor is near; nil: all
	left        int32        // of expected, who did not
	late        int32
	lateAlso    int32
	nearLate    int32 // of late, those to whom the actor is near
	nearAlso    int32
	conflated   int32
	uncertain   int32
	sum         int64 // of the latencies
	fate        fate
	event       bool
	closed      bool // its session is over
	known       bool // the version is
	code        string
	sightings   []sighting
}

// sighting is an update that may include an action, as its version will tell.
type sighting struct {
	viewer  int32
	at      int64
	version wire.Version
}

// second gathers what became of the actions due in one second.
type second struct {
	index   int64
	counts  report.Counts
	nearest report.NearestCounts
	latency *report.Histogram
}

func newLedger(participants int, deadline, grace, measured, length time.Duration) *ledger {
	return &ledger{
		deadline: int64(deadline), grace: int64(grace), measured: int64(measured), length: int64(length),
		events: make([][]int64, participants), viewers: make([]viewer, participants), asked: make([]asked, participants),
		ring:    make([]action, 1024),
		latency: report.NewHistogram(), outcome: report.NewHistogram(), gap: report.NewHistogram(), affected: report.NewHistogram(), nearUS: report.NewHistogram(),
		refusals: make(map[string]int64),
	}
}

func (l *ledger) action(sequence int64) *action { return &l.ring[sequence&int64(len(l.ring)-1)] }

// openAction gives an action that is still reckoned with; nil for -1 and for those settled.
func (l *ledger) openAction(sequence int64) *action {
	if sequence < l.head {
		return nil
	}
	return l.action(sequence)
}

// inMeasuredTime says whether what is due then counts.
func (l *ledger) inMeasuredTime(due int64) bool {
	return due >= l.measured && due < l.measured+l.length
}

// enter takes an action when it is due, in order. It keeps expected, which must
// be ascending, and near, which marks those of them to whom the actor is near
// (nil: all), and gives its sequence number; -1 if it is not measured.
func (l *ledger) enter(due int64, participant int32, event bool, expected []int32, near []uint64, uncertain int) int64 {
	if !l.inMeasuredTime(due) {
		return -1
	}
	kept, all := expected[:0], len(expected)
	l.kept = l.kept[:0]
	for i, w := range expected {
		switch v := &l.viewers[w]; {
		case v.ignored:
		case due >= v.expectedFrom:
			kept = append(kept, w)
			l.kept = append(l.kept, i)
		default:
			uncertain++
		}
	}
	if near != nil && len(kept) < all {
		near = keepMarks(near, l.kept)
	}
	if l.tail-l.head == int64(len(l.ring)) {
		larger := make([]action, 2*len(l.ring))
		for s := l.head; s < l.tail; s++ {
			larger[s&int64(len(larger)-1)] = l.ring[s&int64(len(l.ring)-1)]
		}
		l.ring = larger
	}
	sequence := l.tail
	l.tail++
	a := l.action(sequence)
	sightings := a.sightings[:0]
	*a = action{due: due, participant: participant, entity: -1, event: event, expected: kept, near: near, left: int32(len(kept)), uncertain: int32(uncertain), sightings: sightings}
	l.affected.Record(int64(len(kept)))
	l.second(due).counts.Offered++
	l.asked[participant].offered++
	return sequence
}

// second gives the books of the second in which something was due.
func (l *ledger) second(due int64) *second {
	index := (due - l.measured) / int64(time.Second)
	for len(l.seconds) == 0 || l.seconds[len(l.seconds)-1].index < index {
		next := int64(len(l.settled))
		if n := len(l.seconds); n > 0 {
			next = l.seconds[n-1].index + 1
		}
		l.seconds = append(l.seconds, &second{index: next, latency: report.NewHistogram()})
	}
	return l.seconds[index-l.seconds[0].index]
}

// addEntity names an entity; participant is whose avatar or thing it is.
func (l *ledger) addEntity(id uint64, participant int32) (index int32) {
	if known, ok := l.table.get(id); ok {
		return known
	}
	index = int32(len(l.entities))
	l.entities = append(l.entities, entity{owner: participant})
	l.table.put(id, index)
	return index
}

// sent notes the number under which an action goes out, and the entity that it
// changes (-1 for an event). It may be told again with another number.
func (l *ledger) sent(sequence int64, avatar, number uint64, entity int32) {
	a := l.openAction(sequence)
	if a == nil {
		return
	}
	a.avatar, a.number = avatar, number
	if a.event {
		if !slices.Contains(l.events[a.participant], sequence) {
			l.events[a.participant] = append(l.events[a.participant], sequence)
		}
		return
	}
	if a.entity < 0 {
		a.entity = entity
		l.entities[entity].open = append(l.entities[entity].open, sequence)
	}
}

// update notes that a viewer was told the state of an entity.
func (l *ledger) update(w int32, s *wire.Step, now int64) {
	index, known := l.table.get(s.Entity)
	if !known {
		return
	}
	open := l.entities[index].open
	for i := len(open) - 1; i >= 0; i-- { // from the newest: it tells versions
		a := l.openAction(open[i])
		if a == nil {
			continue
		}
		if a.avatar == s.Actor && s.Number != 0 { // numbers tell; two of one commit bear one version
			if a.number == s.Number && (!a.known || a.version.Less(s.Version)) {
				a.known, a.version = true, s.Version
			}
			if a.number != 0 && a.number <= s.Number {
				l.deliver(a, w, now, a.number < s.Number)
			}
			continue
		}
		switch {
		case a.known:
			if !s.Version.Less(a.version) {
				l.deliver(a, w, now, true)
			}
		case a.waitsFor(w):
			a.sightings = append(a.sightings, sighting{w, now, s.Version})
		}
	}
	l.tidy(&l.entities[index].open)
}

// tidy drops actions that everybody has seen or that were settled.
func (l *ledger) tidy(open *[]int64) {
	kept := (*open)[:0]
	for _, sequence := range *open {
		if a := l.openAction(sequence); a != nil && a.left > 0 && !a.closed {
			kept = append(kept, sequence)
		}
	}
	*open = kept
}

// event notes that a viewer was told an event.
func (l *ledger) event(w int32, s *wire.Step, now int64) {
	index, known := l.table.get(s.Actor)
	if !known {
		return
	}
	of := &l.events[l.entities[index].owner]
	for _, sequence := range *of {
		a := l.openAction(sequence)
		if a != nil && a.number == s.Number && a.avatar == s.Actor {
			l.deliver(a, w, now, false)
			break
		}
	}
	l.tidy(of)
}

// find gives the place of a viewer among those expected, seen or not.
func (a *action) find(w int32) (at int, ok bool) {
	low, high := 0, len(a.expected)
	for low < high {
		mid := int(uint(low+high) >> 1)
		v := a.expected[mid]
		if v < 0 {
			v = ^v
		}
		if v < w {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(a.expected) && (a.expected[low] == w || a.expected[low] == ^w)
}

// waitsFor says whether a viewer is yet to see the action.
func (a *action) waitsFor(w int32) bool {
	at, ok := a.find(w)
	return ok && a.expected[at] >= 0
}

// deliver notes that a viewer has seen an action, the first time.
func (l *ledger) deliver(a *action, w int32, now int64, conflated bool) {
	at, ok := a.find(w)
	if !ok || a.expected[at] < 0 || a.closed {
		return
	}
	a.expected[at] = ^w
	a.left--
	took := max(now-a.due, 0)
	a.sum += took
	if took > l.deadline {
		a.late++
	}
	if took > alsoAt {
		a.lateAlso++
	}
	if conflated {
		a.conflated++
	}
	l.second(a.due).latency.Record(took / int64(time.Microsecond))
	if isNear(a.near, at) {
		l.nearUS.Record(took / int64(time.Microsecond))
		if took > l.deadline {
			a.nearLate++
		}
		if took > alsoAt {
			a.nearAlso++
		}
	}
}

// refused notes a retryable refusal.
func (l *ledger) refused(sequence int64, code string) {
	if a := l.openAction(sequence); a != nil && a.fate <= refusedForNow {
		a.fate, a.code = refusedForNow, code
	}
}

// answered notes the final outcome.
func (l *ledger) answered(sequence int64, fine bool, code string, now int64) {
	a := l.openAction(sequence)
	if a == nil {
		return
	}
	l.outcome.Record(max(now-a.due, 0) / int64(time.Microsecond))
	a.fate, a.code = applied, ""
	if !fine {
		a.fate, a.code = refusedForGood, code
	}
}

// close ends what is expected of an action: its session is over.
func (l *ledger) close(sequence int64) {
	if a := l.openAction(sequence); a != nil {
		a.closed = true
	}
}

// refresh notes that a viewer got something new.
func (l *ledger) refresh(w int32, now int64) {
	v := &l.viewers[w]
	if v.lastUpdate > l.measured && l.inMeasuredTime(now) {
		l.gap.Record((now - v.lastUpdate) / int64(time.Microsecond))
	}
	v.lastUpdate = now
}

// settle reckons up actions that are complete or past their grace, in order, and
// the seconds that are over.
func (l *ledger) settle(now int64) {
	for l.head < l.tail {
		a := l.action(l.head)
		done := a.left == 0 && (a.fate == applied || a.fate == refusedForGood)
		if !done && now < a.due+l.grace {
			break
		}
		l.reckon(a)
		a.expected, a.near = nil, nil
		l.head++
	}
	for len(l.seconds) > 0 {
		s := l.seconds[0]
		end := l.measured + (s.index+1)*int64(time.Second)
		if now < end || l.head < l.tail && l.action(l.head).due < end {
			return
		}
		l.fold(s)
		l.seconds = l.seconds[1:]
	}
}

// settledAll says whether nothing is open.
func (l *ledger) settledAll() bool { return l.head == l.tail && len(l.seconds) == 0 }

// fold adds a second that is over to the rest.
func (l *ledger) fold(s *second) {
	out := report.Second{At: min(float64(s.index+1), time.Duration(l.length).Seconds()), Counts: s.counts}
	out.Latencies(s.latency)
	if l.dense {
		nearest := s.nearest
		out.Nearest = &nearest
	}
	l.nearest.Add(s.nearest)
	l.settled = append(l.settled, out)
	l.total.Add(s.counts)
	l.latency.Add(s.latency)
}

func (l *ledger) reckon(a *action) {
	for i := range a.sightings {
		if s := &a.sightings[i]; a.known && !s.version.Less(a.version) {
			l.deliver(a, s.viewer, s.at, true)
		}
	}
	c := &l.second(a.due).counts
	expected := int64(len(a.expected))
	missed, also := int64(a.late+a.left), int64(a.lateAlso+a.left)
	c.DeliveriesExpected += expected
	c.DeliveriesReceived += expected - int64(a.left)
	c.DeliveriesConflated += int64(a.conflated)
	c.DeliveriesMissed += missed
	c.DeliveriesMissed30MS += also
	c.DeliveriesUncertain += int64(a.uncertain)
	switch a.fate {
	case applied:
		c.Admitted++
		c.Achieved++
	case refusedForGood:
		c.Admitted++
		c.Refused++
	case refusedForNow:
		c.Refused++
	case unanswered:
		c.Unanswered++
	}
	if a.fate == refusedForGood || a.fate == refusedForNow {
		l.refusals[a.code]++
		l.asked[a.participant].refused++
	}
	if missed > 0 || a.fate != applied {
		c.ActionsMissed++
	} else {
		c.Goodput++
	}
	if also > 0 || a.fate != applied {
		c.ActionsMissed30MS++
	}
	l.noteWork(a, missed > 0 || a.fate != applied)
	l.noteNearest(a)
}

// noteWork counts an action among those that affected about as many.
func (l *ledger) noteWork(a *action, missed bool) {
	w := &l.work[bits.Len(uint(max(len(a.expected)-1, 0)))]
	w.Actions++
	if missed {
		w.Missed++
	}
	if seen := len(a.expected) - int(a.left); seen > 0 {
		w.Seen++
		w.LatencyUS += a.sum / int64(seen) / int64(time.Microsecond)
	}
}

// fill writes what was found into a run. Everything is settled.
func (l *ledger) fill(r *report.Run) {
	r.Counts, r.Series = l.total, l.settled
	h := &r.Histograms
	if l.dense {
		r.Nearest, h.NearestUS = &report.Nearest{Count: nearestCount, NearestCounts: l.nearest}, l.nearUS
	}
	h.LatencyUS, h.OutcomeUS, h.GapUS, h.Affected = l.latency, l.outcome, l.gap, l.affected
	h.RefusedPPM = report.NewHistogram()
	for _, a := range l.asked {
		if a.offered > 0 {
			h.RefusedPPM.Record(int64(a.refused) * 1_000_000 / int64(a.offered))
		}
	}
	r.RefusalsByCode = l.refusals
	for i := range l.work {
		if w := l.work[i]; w.Actions > 0 {
			w.From, w.To = 0, 1<<i
			if i > 0 {
				w.From = 1<<(i-1) + 1
			}
			r.Work = append(r.Work, w)
		}
	}
}
