// Package overload keeps a gateway within what the way behind it can carry.
//
// The sign of overload is the age of updates when they are handed to sockets:
// it contains every queue between an action's arrival and those who see it, in
// this process or another. While too many are old, each participant may send no
// more than a share of actions per second; what exceeds it is refused at
// arrival, retryably. All have the same share, so those who send little lose
// nothing before those who send much have come down to them (max-min fairness:
// Bertsekas and Gallager, Data Networks, 2nd edition, section 6.5.2). The share
// falls in proportion and recovers in proportion, as congestion control does.
package overload

import (
	"math"
	"sync/atomic"
	"time"
)

// Config of a Limiter.
type Config struct {
	// Ages gives how many updates were handed to sockets since the start, and
	// how many of them were too old.
	Ages func() (all, old uint64)
	// Busy gives the share of the machine's processors that the process took in
	// the window before, 0 to 1. nil: always 1.
	Busy func() float64
}

// The control law, per window of WindowTime. A fall drains the queues before it
// settles just below where it came from; from there the share creeps, and runs
// only once it is well past that, as TCP's cubic growth does (RFC 9438).
const (
	// WindowTime is how often Tick is to be called.
	WindowTime = 100 * time.Millisecond

	tooMany  = 0.03 // share of old updates above which a window is congested
	fewest   = 20   // updates that a window needs to be judged
	patience = 2    // congested windows before the share falls
	drain    = 0.7  // of the congested share, until a window is clean
	least    = 0.1  // of a share, below which one measurement does not bring it
	again    = 0.95 // of the congested share, for a window in which the queue got no shorter
	sharply  = 0.8  // the same when not even the first measurement was possible
	shorter  = 1.15 // told per admitted from which on the queue counts as getting shorter
	settle   = 0.94 // of the congested share, after the drain
	creep    = 1.004
	run      = 1.05
	far      = 40   // clean windows after a fall from which the share runs
	burst    = 2    // actions that a participant may send at once
	floor    = 0.25 // actions per second that everybody may always send
	quietly  = 10   // clean windows without a refusal, then the limit ends
)

// Limiter decides who may act. Admit is for any goroutine; Tick for one.
type Limiter struct {
	ages  func() (all, old uint64)
	busy  func() float64
	share atomic.Uint64 // float64 bits: actions per second of each; 0: no limit
	round atomic.Uint32 // seconds, for counting who is active

	stripes [16]stripe

	// Of Tick.
	all, old          uint64
	admitted, refused uint64
	active            float64
	ticks             int
	congested, clean  int
	quiet             int
	bad               float64 // the share that was too much; 0: none yet
	draining          bool
	carried           float64 // updates told in a window while congested
	fanout            float64 // updates that an action makes
}

// stripe counts, apart from the others' cache lines.
type stripe struct {
	admitted atomic.Uint64
	refused  atomic.Uint64
	active   atomic.Uint64
	_        [40]byte
}

// Sender is a participant's account. The zero value is new. It belongs to one
// goroutine at a time.
type Sender struct {
	tokens float32
	round  uint32
	last   time.Time
}

// New makes a limiter without a limit.
func New(config Config) *Limiter {
	l := &Limiter{ages: config.Ages, busy: config.Busy}
	if l.busy == nil {
		l.busy = func() float64 { return 1 }
	}
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
// which spreads the counters: any number that stays with the sender.
func (l *Limiter) Admit(s *Sender, which uint64, now time.Time) (after time.Duration, ok bool) {
	st := &l.stripes[which%uint64(len(l.stripes))]
	if round := l.round.Load(); s.round != round {
		s.round = round
		st.active.Add(1)
	}
	share := math.Float64frombits(l.share.Load())
	if share == 0 {
		s.tokens, s.last = 0, now // a limit begins with what comes, not with what everybody saved
		st.admitted.Add(1)
		return 0, true
	}
	if s.last.IsZero() {
		s.tokens = burst
	} else if gone := now.Sub(s.last).Seconds(); gone > 0 {
		s.tokens = float32(min(burst, float64(s.tokens)+gone*share))
	}
	s.last = now
	if s.tokens < 1 {
		st.refused.Add(1)
		return time.Duration((1 - float64(s.tokens)) / share * float64(time.Second)), false
	}
	s.tokens--
	st.admitted.Add(1)
	return 0, true
}

// ticksPerRound is the ticks in the second over which active senders count.
const ticksPerRound = int(time.Second / WindowTime)

// Tick ends a window.
func (l *Limiter) Tick() {
	var admitted, refused, active uint64
	for i := range l.stripes {
		st := &l.stripes[i]
		admitted += st.admitted.Load()
		refused += st.refused.Load()
		active += st.active.Load()
	}
	in, out := admitted-l.admitted, refused-l.refused
	l.admitted, l.refused = admitted, refused
	l.countActive(float64(active))
	all, old := l.ages()
	seen, late := all-l.all, old-l.old
	l.all, l.old = all, old
	if l.busy() < enough {
		late = 0 // not this process's doing
	}

	l.judge(seen, late, out)
	l.measure(float64(in), float64(seen))
	share := math.Float64frombits(l.share.Load())
	switch {
	case l.congested >= patience || l.congested > 0 && l.draining:
		share = l.fall(share, float64(in), float64(seen))
	case share == 0 || l.clean == 0:
	case l.draining:
		l.draining = false
		if out > 0 && seen >= fewest { // known better now than by the fall
			l.bad = max(least*l.bad, min(share*l.carried/float64(seen), l.bad/least))
		}
		share = settle * l.bad
	case l.quiet >= quietly:
		share, l.bad = 0, 0
	case l.clean < far:
		share *= creep
	default:
		share *= run
	}
	if share > 0 {
		share = max(floor, share)
	}
	l.share.Store(math.Float64bits(share))
}

// judge counts windows. One with next to nothing to see is a clean one: there
// is no load.
func (l *Limiter) judge(seen, late, refused uint64) {
	if seen >= fewest && float64(late) > tooMany*float64(seen) {
		l.congested, l.clean, l.quiet = l.congested+1, 0, 0
		return
	}
	l.congested, l.clean = 0, l.clean+1
	if l.quiet++; refused > 0 {
		l.quiet = 0
	}
}

// fall lowers the share; the first time it begins at what each sends now. What
// was told in a congested window is what can be carried.
func (l *Limiter) fall(share, admitted, told float64) float64 {
	if share == 0 {
		if l.active < 1 || admitted == 0 {
			return 0
		}
		share = admitted * float64(ticksPerRound) / l.active
	}
	carried := admitted
	if l.fanout > 0 {
		carried = told / l.fanout
	}
	switch {
	case !l.draining:
		l.carried = told
		l.bad = share * max(least, min(1, carried/admitted))
	case l.fanout == 0:
		l.bad *= sharply
	case carried < shorter*admitted: // otherwise the queue gets shorter: patience
		l.bad *= again
	}
	l.carried += (told - l.carried) / 4
	l.draining = true
	return drain * l.bad
}

// measure renews the updates that an action makes, while nothing piles up.
func (l *Limiter) measure(admitted, told float64) {
	if l.congested > 0 || l.draining || admitted < fewest {
		return
	}
	if l.fanout == 0 {
		l.fanout = told / admitted
	}
	l.fanout += (told/admitted - l.fanout) / 8
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
