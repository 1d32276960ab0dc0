// Package overload keeps a gateway within what the way behind it can carry.
//
// It refuses only where refusing helps: while a queue stands, not while one
// passes. A machine that stands still for some milliseconds makes old updates,
// too, but the youngest of those that follow are young again; under overload
// they are not (the minimum over an interval tells the two apart: Nichols and
// Jacobson, Controlling Queue Delay, ACM Queue 10(5), 2012; here the median of
// each window). And since a delay may have other causes than load, a limit that
// makes nothing better ends by itself.
//
// While there is a limit, each participant may send no more than a share of
// actions per second; what exceeds it is refused at arrival, retryably. All have
// the same share, so those who send little lose nothing before those who send
// much have come down to them (max-min fairness: Bertsekas and Gallager, Data
// Networks, 2nd edition, section 6.5.2).
package overload

import (
	"math"
	"sync/atomic"
	"time"
)

// Config of a Limiter.
type Config struct {
	// Deadline is D: what takes longer in the queues than that is a queue too long.
	// Default: 15 ms.
	Deadline time.Duration
	// Ages gives how many updates were handed to sockets since the start, and
	// how many of them were old: older than any wait on purpose makes them.
	Ages func() (all, old uint64)
	// Load gives what the processors did since the call before. It is called in
	// windows in which updates are old or a limit holds, and only then. nil: what no system tells.
	Load func() Load
	// Relieves says that less work is about to be made of each action: for a while
	// nobody is refused because updates are old. nil: that never happens.
	Relieves func() bool
}

// WindowTime is how often Tick is to be called.
const WindowTime = 100 * time.Millisecond

// longestWait is the longest after which a participant is asked to come back:
// those who wait learn late that the load has fallen.
const longestWait = 500 * time.Millisecond

const (
	burst = 2    // actions that a participant may send at once
	floor = 0.25 // actions per second that everybody may always send
)

// Limiter decides who may act. Tick is for one goroutine, the rest for any.
type Limiter struct {
	ages  func() (all, old uint64)
	share atomic.Uint64 // float64 bits: actions per second of each; 0: no limit
	hint  atomic.Uint64 // the same, by which times to come back are reckoned
	round atomic.Uint32 // seconds, for counting who is active
	limit atomic.Uint32 // number of the limit
	began atomic.Int64  // when it began, since started

	stripes [16]stripe

	// Of Tick.
	started, ticked   time.Time
	all, old          uint64
	admitted, refused uint64
	answered          uint64
	active            float64
	ticks             int
	controller        controller
}

// stripe counts, apart from the others' cache lines.
type stripe struct {
	admitted atomic.Uint64
	refused  atomic.Uint64
	answered atomic.Uint64
	dropped  atomic.Uint64
	active   atomic.Uint64
	_        [24]byte
}

// Sender is a participant's account. The zero value is new. It belongs to one
// goroutine at a time.
type Sender struct {
	tokens float32
	round  uint32
	limit  uint32
	streak uint8 // refusals with hardly more than a burst admitted in between
	since  uint8 // admitted since the last refusal
	last   int64 // since the limiter started
}

// New makes a limiter without a limit.
func New(config Config) *Limiter {
	if config.Deadline <= 0 {
		config.Deadline = 15 * time.Millisecond
	}
	if config.Load == nil {
		config.Load = func() Load { return Load{} }
	}
	if config.Relieves == nil {
		config.Relieves = func() bool { return false }
	}
	l := &Limiter{ages: config.Ages, controller: controller{deadline: config.Deadline.Seconds(), load: config.Load, relieves: config.Relieves}}
	l.round.Store(1)
	return l
}

// Share is the actions per second that each participant may send; +Inf without
// a limit.
func (l *Limiter) Share() float64 {
	if share := math.Float64frombits(l.share.Load()); share > 0 {
		return share
	}
	return math.Inf(1)
}

// Admit says whether the sender may act now; if not, when it may, from now.
// which spreads the counters: any number that stays with the sender. Each action
// that was admitted is to end with Done or Dropped.
func (l *Limiter) Admit(s *Sender, which uint64, now time.Time) (after time.Duration, ok bool) {
	st := &l.stripes[which%uint64(len(l.stripes))]
	if round := l.round.Load(); s.round != round {
		s.round = round
		st.active.Add(1)
	}
	share := math.Float64frombits(l.share.Load())
	if share == 0 {
		st.admitted.Add(1)
		return 0, true
	}
	s.earn(l, which, now, share)
	if s.tokens < 1 {
		st.refused.Add(1)
		wait := (s.wanted() - float64(s.tokens)) / math.Float64frombits(l.hint.Load())
		return min(longestWait, time.Duration(wait*float64(time.Second))), false
	}
	s.tokens--
	s.since = min(s.since+1, 2*burst)
	st.admitted.Add(1)
	return 0, true
}

// wanted is how many actions a refused sender is to save up for. Who is refused
// again and again is asked to come back for several: a refusal for each action
// that is admitted costs about as much as the action.
func (s *Sender) wanted() float64 {
	if s.since < 2*burst {
		s.streak = min(s.streak+1, burst)
	} else {
		s.streak = 1
	}
	s.since = 0
	return float64(s.streak)
}

// Done says that an admitted action has got its outcome.
func (l *Limiter) Done(which uint64) { l.stripes[which%uint64(len(l.stripes))].answered.Add(1) }

// Dropped says that so many admitted actions will get none, or were refused for
// now behind the gateway.
func (l *Limiter) Dropped(which uint64, actions int) {
	l.stripes[which%uint64(len(l.stripes))].dropped.Add(uint64(actions))
}

// earn gives a sender what it may send since the last time. A limit begins with
// what comes, not with what everybody saved; and each with a part of an action
// of its own: else all would have a whole one at the same time.
func (s *Sender) earn(l *Limiter, which uint64, now time.Time, share float64) {
	most, at := float64(burst), int64(now.Sub(l.started))
	if limit := l.limit.Load(); s.limit != limit {
		most = 1
		s.limit, s.last, s.tokens = limit, l.began.Load(), phase(which, limit)
		s.streak, s.since = uint8(2*phase(which+1<<32, limit)), 0 // half of them save up for one more
	}
	if gone := at - s.last; gone > 0 {
		s.tokens = float32(min(most, float64(s.tokens)+float64(gone)/1e9*share))
		s.last = at
	}
}

// phase spreads senders evenly between 0 and 1, differently in each limit.
func phase(which uint64, limit uint32) float32 {
	mixed := (which ^ uint64(limit)<<40) * 0x9e3779b97f4a7c15
	mixed = (mixed ^ mixed>>32) * 0xd6e8feb86659fd93
	return float32(mixed>>40) / (1 << 24)
}

// ticksPerRound is the ticks in the second over which active senders count.
const ticksPerRound = int(time.Second / WindowTime)

// Tick ends a window. The first call begins one.
func (l *Limiter) Tick(now time.Time) {
	w := l.window(now)
	if w.elapsed <= 0 {
		return
	}
	before := l.controller.limits
	share := l.controller.step(w)
	if l.controller.limits != before {
		l.began.Store(int64(now.Sub(l.started)))
		l.limit.Store(l.controller.limits)
	}
	l.hint.Store(math.Float64bits(l.controller.lasting))
	l.share.Store(math.Float64bits(share))
}

// window is what happened since the Tick before.
func (l *Limiter) window(now time.Time) window {
	var admitted, refused, answered, dropped, active uint64
	for i := range l.stripes {
		st := &l.stripes[i]
		answered += st.answered.Load() // first: never more than was admitted
		dropped += st.dropped.Load()
		admitted += st.admitted.Load()
		refused += st.refused.Load()
		active += st.active.Load()
	}
	l.countActive(float64(active))
	all, old := l.ages()
	w := window{
		admitted: float64(admitted - l.admitted), refused: float64(refused - l.refused),
		answered: float64(answered - l.answered), waiting: float64(admitted - answered - dropped),
		updates: float64(all - l.all), old: float64(old - l.old), active: l.active,
	}
	if l.ticked.IsZero() {
		l.started = now
	} else {
		w.elapsed = now.Sub(l.ticked).Seconds()
	}
	l.ticked, l.admitted, l.refused, l.answered, l.all, l.old = now, admitted, refused, answered, all, old
	return w
}

// countActive renews the number of senders who acted within a second.
func (l *Limiter) countActive(active float64) {
	if l.ticks++; l.ticks%ticksPerRound != 0 {
		l.active = max(l.active, active)
		return
	}
	l.active = max(active, 1)
	for i := range l.stripes {
		l.stripes[i].active.Store(0)
	}
	l.round.Add(1)
}
