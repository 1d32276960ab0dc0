package overload

// window is what happened within one.
type window struct {
	elapsed  float64 // seconds
	admitted float64
	refused  float64
	answered float64 // actions
	waiting  float64 // actions without an outcome at its end
	updates  float64 // handed to sockets
	old      float64 // of the updates
	active   float64 // senders who acted within a second
}

// controller is the control law, without a clock: what each may send, by what
// happened in each window.
//
// There are two signs of overload. A queue of actions without an outcome that
// takes longer than it may at the pace at which they get one: known at once, and
// how long it is. And old updates: those hold every other queue on the way, the
// one of writes to sockets most of all, and grow smoothly with the load.
type controller struct {
	deadline float64 // seconds
	load     func() Load
	relieves func() bool
	relieved int // windows in a row in which that was waited for

	limits   uint32  // so far: with each, what everybody saved is gone
	limited  bool    // there is one
	share    float64 // actions per second of each
	lasting  float64 // the share, but for a queue that becomes short
	capacity float64 // actions per second that are carried in time, as far as is known
	bad      float64 // the least that was too many
	good     float64 // the most that was carried in time, of late
	inTime   float64 // what is carried in time now, smoothed
	young    int     // windows in which updates were young, so far: a second and no more
	senders  float64 // those who would send more than their share, in effect

	// Without a limit.
	standing int     // windows in a row
	came     float64 // actions admitted in windows with old updates, of late
	went     float64 // and those that got an outcome
	queueing int
	asked    int  // windows in which the load was asked for, in a row
	known    Load // over the last of them
	memory   int  // windows for which a limit is remembered
	pause    int  // windows for which old updates begin no limit
	pauses   int  // how long the next one is

	// With a limit.
	draining   bool
	queue      float64 // then, in the window before
	blind      int     // windows in which updates still leave that were admitted before
	begun      float64 // what was carried when it began
	worst      float64 // the part of updates that was old then
	falls      int     // of the capacity, since updates were young
	beyond     int     // calm windows at more than was too much
	crowded    int     // windows in a row with a queue
	stood      int     // windows in a row
	thin       int     // windows in a row
	congested  int
	unneeded   int
	unrefused  int
	unimproved int
	spare      int  // windows in a row in which processors had time to spare
	settling   int  // windows in which who was told to wait does not show yet
	leapt      int  // windows for which what goes wrong is taken for the leap's doing
	grounded   bool // leaps were too much: the bottleneck is elsewhere
}

const (
	fewest     = 20  // updates or outcomes that a window needs to be judged
	fewestTold = 5   // outcomes that there must be, too, for updates to say something
	tooLong    = 0.3 // seconds above which a window is not judged: the machine stood still

	// Shares of old updates in a window.
	oldStanding  = 0.4  // a queue stands
	oldSteep     = 0.12 // enough where what comes rises steeply
	oldCongested = 0.04 // with a limit
	oldCalm      = 0.015

	// Windows in a row with a standing queue before a limit begins.
	patienceSaturated = 4  // this process uses the processors up
	patienceElsewhere = 10 // there are processors left: something else is slow, or stands still
	patienceAgain     = 2  // a limit ended a moment ago
	patienceSteep     = 2  // more comes than rises times what was carried in time a moment ago
	rises             = 2
	rememberedYoung   = 10 // windows with young updates, from which on it is known what was carried
	passing           = 2  // off those, with each window in which the queue gets shorter
	remembered        = 20 // windows that are a moment

	// A queue of actions, in deadlines that it takes.
	queueBegins = 4
	queueAtOnce = 20
	queueDrains = 10
	queueStays  = 1   // for so long:
	crowdedFor  = 2   // windows
	shrinks     = 1.1 // outcomes per admitted action from which on a queue gets shorter

	// How long relief from elsewhere is waited for, in windows.
	reliefTakes = 3

	// With a limit, windows in a row before less is admitted: one may be a
	// moment's standstill.
	standsFor    = 2
	congestedFor = 2

	usually    = 0.9   // of what was carried in time: less is what a standstill leaves
	surely     = 0.85  // of what was carried in time a moment ago
	goodLasts  = 0.99  // what is left of that after a window in which updates were young
	goodFades  = 0.96  // and after one in which some were old
	gently     = 0.93  // of the capacity, if not quite so many are old
	settle     = 0.95  // of what was carried while there was a queue
	slowest    = 0.008 // growth in a window
	fastest    = 0.1
	beyond     = 0.002 // more with each window, beyond what was too much
	idlePart   = 0.9   // of the capacity: who offers less needs no limit
	idleFor    = 3     // windows
	spareFor   = 2     // windows with time to spare after which the capacity leaps
	leap       = 0.5   // growth in a window then
	leapShows  = 5     // windows
	idleGrowth = 0.25  // growth in a window, as part of the processors' idle time
	reserve    = 0.15  // beyond this, which is idle where as much as possible is in time
	settles    = 4     // windows after which those come back who were told to wait
	noRefusals = 10    // windows without a refusal, then the limit ends

	// Of what was carried when a limit began: if updates are still old at that, it
	// has failed.
	least        = 0.25
	hardly       = 0.75 // of the part that was old then
	failedAfter  = 5    // windows
	firstPause   = 100
	longestPause = 1600
)

// steps are the parts by which the capacity falls, if all updates are old, the
// first time and if they stay old.
var steps = [...]float64{0.1, 0.25, 0.5}

// step gives the share for the next window; 0: no limit.
func (c *controller) step(w window) float64 {
	switch {
	case w.elapsed > tooLong:
		c.standing, c.queueing, c.asked = 0, 0, 0
	case c.limited:
		c.learnGood(&w)
		c.hold(&w)
	default:
		c.learnGood(&w)
		c.watch(&w)
	}
	if !c.limited {
		return 0
	}
	return c.share
}

func (w *window) offered() float64 { return (w.admitted + w.refused) / w.elapsed }
func (w *window) rate() float64    { return w.admitted / w.elapsed }
func (w *window) pace() float64    { return w.answered / w.elapsed }

// oldPart is the share of old updates; 0 if there are too few to say.
func (w *window) oldPart() float64 {
	if w.thin() {
		return 0
	}
	return w.old / w.updates
}

func (w *window) thin() bool { return w.updates < fewest || w.answered < fewestTold }

// watch decides whether a limit begins.
func (c *controller) watch(w *window) {
	c.memory = max(0, c.memory-1)
	if c.pause = max(0, c.pause-1); w.rate() > 2*c.begun {
		c.pause = 0 // another load than the one that it did not help against
	}
	if c.queues(w) {
		c.begin(w, min(w.rate(), w.pace()))
		c.drain(w)
		return
	}
	steep := c.young >= rememberedYoung && w.rate() > rises*c.good
	if old := w.oldPart(); c.pause > 0 || old < oldSteep || old < oldStanding && !steep {
		c.standing, c.asked, c.relieved, c.came, c.went = 0, 0, 0, 0, 0
		return
	}
	if !steep && c.awaitsRelief() {
		return
	}
	c.ask()
	if c.passes(w, steep) {
		c.standing = max(0, c.standing-passing)
		return // it passes: what stood still goes on
	}
	c.standing++
	if steep && c.standing >= patienceSteep && c.asked > 1 && c.known.saturated() {
		c.begin(w, w.rate()/rises)
		c.begun = max(c.begun, surely/least*c.good) // a moment ago that much was in time
		c.bad, c.blind = w.rate(), 1                // nothing says that half of it is too much
		c.admit(c.capacity)
		return
	}
	if c.standing < c.patience() {
		return
	}
	c.begin(w, min(w.rate(), w.pace()))
	if c.waits(w) > queueStays {
		c.drain(w)
	} else {
		c.cut(w)
	}
}

// passes says that a queue gets shorter, because what stood still goes on. Outcomes
// come in fits where a queue stands, so that is seen over all windows since it does;
// but where more and more comes in each, only the last one counts.
func (c *controller) passes(w *window, steep bool) bool {
	c.came, c.went = c.came+w.admitted, c.went+w.answered
	if steep {
		return w.pace() > shrinks*w.rate()
	}
	return c.went > shrinks*c.came
}

// awaitsRelief says that less is about to be made of each action, and has been for
// no longer than that takes.
func (c *controller) awaitsRelief() bool {
	if !c.relieves() {
		c.relieved = max(0, c.relieved-1)
		return false
	}
	c.relieved++
	return c.relieved <= reliefTakes
}

// queues says that actions wait much longer for their outcome than they may, and
// more and more of them do, although no fewer than usual get one. When a store
// or a machine stands still, nobody gets any; and when it goes on, all do.
func (c *controller) queues(w *window) bool {
	wait := w.waiting / w.pace() / c.deadline
	if w.answered < fewest || w.pace() < usually*c.good || w.rate() < 1.2*w.pace() || wait < queueBegins {
		c.queueing = 0
		return false
	}
	c.queueing++
	return c.queueing > 1 || wait > queueAtOnce && w.rate() > 2*w.pace()
}

// ask finds out what the processors do while a queue stands.
func (c *controller) ask() {
	known := c.load()
	if c.asked++; c.asked > 1 { // the first time it says what was before
		c.known = known
	}
}

// patience is how many windows a queue must stand for.
func (c *controller) patience() int {
	switch {
	case c.memory > 0:
		return patienceAgain
	case c.asked < 2:
		return patienceSaturated
	case c.known.ofOthers():
		return 1 << 30 // refusing would help nobody
	case c.known.saturated():
		return patienceSaturated
	}
	return patienceElsewhere
}

// begin begins a limit.
func (c *controller) begin(w *window, capacity float64) {
	c.limited = true
	c.capacity = max(capacity, surely*c.good)
	c.bad, c.begun = max(capacity, c.good), c.capacity
	c.worst = max(oldStanding, w.oldPart())
	c.senders = max(1, w.active)
	c.draining, c.falls = false, len(steps)-1
	c.grounded = c.grounded && c.memory > 0
	c.forget()
	c.standing, c.queueing, c.asked, c.came, c.went = 0, 0, 0, 0, 0
	c.thin, c.stood, c.beyond, c.crowded, c.congested, c.unneeded, c.unrefused, c.unimproved = 0, 0, 0, 0, 0, 0, 0, 0
	c.spare, c.leapt = 0, 0
}

// end ends it. failed says that it made nothing better.
func (c *controller) end(failed bool) {
	c.limited = false
	if failed {
		c.pauses = max(firstPause, min(2*c.pauses, longestPause))
		c.pause, c.memory = c.pauses, 0
		return
	}
	c.pauses, c.memory = 0, remembered
}

// hold goes on with a limit.
func (c *controller) hold(w *window) {
	c.learnSenders(w)
	c.lookForSpare()
	if c.needless(w) {
		c.end(false)
		return
	}
	old := w.oldPart()
	blind := c.blind > 0
	c.blind = max(0, c.blind-1)
	if old < oldStanding {
		c.stood = 0
	}
	if !w.thin() {
		c.thin = 0
	}
	switch {
	case c.crowds(w):
		c.drain(w)
		return
	case c.draining: // as much as was carried meanwhile, and a little less
		c.draining, c.blind = false, 1
		c.bad = c.capacity
		c.capacity *= settle
	case blind:
	case w.thin():
		if c.thin++; c.thin >= failedAfter { // so little is admitted that nothing is known
			c.end(true)
			return
		}
	case old >= oldCongested && c.awaitsRelief():
		c.stood, c.congested = 0, 0
	case old >= oldStanding:
		if c.stood++; c.stood < standsFor && c.falls == 0 {
			break // once may be a moment's standstill
		}
		c.cut(w)
		if c.hopeless(old) {
			c.end(true)
		}
		return
	case old >= oldCongested:
		if c.hopeless(old) {
			c.end(true)
			return
		}
		if c.congested++; c.congested >= congestedFor {
			c.bad = c.capacity
			c.lower(gently * c.capacity)
			c.congested = 0
		}
	case old < oldCalm:
		c.congested, c.unimproved = 0, 0
		c.grow(w)
	default:
		c.congested, c.unimproved = 0, 0
	}
	c.admit(c.capacity)
}

// crowds says that a queue has to become shorter. A short one may be a moment's.
func (c *controller) crowds(w *window) bool {
	wait := c.waits(w)
	if w.answered < fewest || w.waiting < fewest || wait <= queueStays {
		c.crowded = 0
		return false
	}
	c.crowded++
	return wait > queueDrains || c.draining || c.crowded >= crowdedFor
}

// waits is how long what is under way takes, in deadlines.
func (c *controller) waits(w *window) float64 {
	return w.waiting / max(w.pace(), c.capacity/2) / c.deadline
}

// drain lets a queue become short within a window. While it is there, as much is
// carried as can be.
func (c *controller) drain(w *window) {
	pace := max(w.pace(), c.capacity/2)
	if !c.draining {
		c.draining, c.queue = true, 0
		c.lower(min(c.capacity, pace))
	} else {
		c.capacity += (pace - c.capacity) / 4
	}
	excess := w.waiting - pace*c.deadline/2
	c.congested, c.unneeded = 0, 0
	if w.waiting > 0.7*c.queue {
		c.forget()
	}
	c.queue = w.waiting
	c.admit(max(c.capacity/20, pace-excess/WindowTime.Seconds()))
}

// cut lowers the capacity while a queue stands although no more is admitted than
// is carried: by the more, the more updates are old.
func (c *controller) cut(w *window) {
	from := min(c.capacity, max(w.rate(), c.capacity/2))
	c.bad = max(c.good, from)
	c.lower(from * (1 - steps[c.falls]*w.oldPart()))
	c.blind = 1
	if c.falls++; c.falls == len(steps) {
		c.falls--
		c.forget()
	}
	c.congested, c.unneeded = 0, 0
	c.admit(c.capacity)
}

// forget takes from everybody what was saved: less is admitted at once.
func (c *controller) forget() { c.limits, c.settling = c.limits+1, settles }

// lower lowers the capacity, but hardly below what was carried in time a moment
// ago: that updates are old then has another reason.
func (c *controller) lower(to float64) {
	c.grounded = c.grounded || c.leapt > 0
	c.capacity = max(to, min(c.capacity, max(surely*c.good, least*c.begun)))
}

// learnGood renews what was carried in time of late.
func (c *controller) learnGood(w *window) {
	if w.thin() {
		return
	}
	old := w.oldPart()
	c.inTime += (min(w.rate(), w.pace())*(1-old) - c.inTime) / 4
	switch {
	case old < oldCalm:
		c.young = min(c.young+1, rememberedYoung)
		c.good = max(c.good*goodLasts, min(w.rate(), w.pace()))
	case old >= oldCongested:
		c.good = max(c.good*goodFades, c.inTime)
	}
}

// grow raises the capacity: ever more slowly up to what was too much the last
// time, and ever faster beyond, as TCP's cubic growth does (RFC 9438).
func (c *controller) grow(w *window) {
	c.falls = 0
	if c.capacity < c.bad {
		c.beyond = 0
	}
	if w.refused == 0 || w.rate() < 0.9*c.capacity {
		return // nothing is learnt from what nobody wants
	}
	if c.spare > spareFor && !c.grounded {
		c.leapt = leapShows
		c.capacity *= 1 + leap
		return
	}
	by := (c.bad - c.capacity) / c.bad / 4
	if c.capacity >= c.bad {
		c.beyond++
		by = beyond * float64(c.beyond)
	}
	if c.known.Known && !c.grounded {
		by = max(by, idleGrowth*(c.known.Idle-reserve))
	}
	c.capacity *= 1 + min(fastest, max(slowest, by))
}

// lookForSpare asks the processors. A limit that a standstill began, before it was
// known what is carried, leaves them idle.
func (c *controller) lookForSpare() {
	c.leapt = max(0, c.leapt-1)
	c.known = c.load()
	if c.known.spare() {
		c.spare++
	} else {
		c.spare = 0
	}
}

// needless says that so little is offered that no limit is needed.
func (c *controller) needless(w *window) bool {
	c.unrefused++
	if w.refused > 0 {
		c.unrefused = 0
	}
	c.unneeded++
	if c.draining || w.offered() > idlePart*c.capacity || w.oldPart() >= oldStanding {
		c.unneeded = 0
	}
	return c.unneeded >= idleFor || c.unrefused >= noRefusals
}

// hopeless says that hardly fewer updates are old than when the limit began,
// although little is admitted by now.
func (c *controller) hopeless(old float64) bool {
	if c.capacity > 1.01*least*c.begun && c.share > floor {
		return false
	}
	if old < hardly*c.worst {
		c.unimproved = max(0, c.unimproved-1)
		return false
	}
	c.unimproved++
	return c.unimproved >= failedAfter
}

// learnSenders renews how many senders use their share up: what was admitted
// holds for that many.
func (c *controller) learnSenders(w *window) {
	c.settling = max(0, c.settling-1)
	if c.settling > 0 || c.draining || c.blind > 0 || w.refused == 0 || w.admitted < fewest {
		return
	}
	c.senders = max(1, c.senders+(w.rate()/c.share-c.senders)/3)
}

// admit divides what is admitted per second.
func (c *controller) admit(rate float64) {
	c.share = max(floor, rate/c.senders)
	c.lasting = max(floor, c.capacity/c.senders)
}
