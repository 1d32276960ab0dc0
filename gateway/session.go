package gateway

import (
	"slices"
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/hub"
	"github.com/starling-vr/starling/gateway/overload"
	"github.com/starling-vr/starling/world"
)

// session is a session that is attached here: where it lives, and which of its
// actions have no outcome yet. Those are kept, under their numbers, and sent
// again when the owner is not there, changed, or stays silent.
type session struct {
	gateway     *Gateway
	connection  *connection
	client      *hub.Client
	id          world.SessionID
	participant string

	// sending orders what is sent to owners. It is taken before mu, and never
	// from a callback of an owner: that may come from within Router.Act.
	sending sync.Mutex

	mu      sync.Mutex
	shard   world.ShardID
	message *clusterv1.ShardId // of shard; shared, never changed
	epoch   uint32
	flights []flight // by number
	spare   []byte   // for the encoding of the next one
	timer   *time.Timer
	waiting bool // a resend is due: nothing else is sent until then
	pause   time.Duration
	begun   bool                  // Welcome is on its way
	early   []*starlingv1.Outcome // came before that
	ending  func()                // likewise: closes the connection once those are told
	cell    world.Cell            // where the avatar was last told to be
	told    uint64                // highest number whose outcome came
	moves   uint32                // hand-overs of the session, as far as is known
	over    bool                  // the session ended, or lives on another connection
	load    overload.Sender
}

// maxSpare is how large a buffer is kept for the next action.
const maxSpare = 256

// flight is an action without an outcome.
type flight struct {
	number  uint64
	raw     []byte // its encoding: the decoded one belongs to the owner
	arrived time.Time
	sent    time.Time
	to      world.ShardID
}

// act takes an action of the client.
func (s *session) act(now, arrived time.Time, in incoming, within bool) {
	number := in.act.GetNumber()
	if !within {
		s.refuse(number, starlingv1.Code_RATE, "over the rate of this connection", 100*time.Millisecond)
		return
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	s.mu.Lock()
	at, known := slices.BinarySearchFunc(s.flights, number, func(f flight, n uint64) int {
		return compareNumbers(f.number, n)
	})
	switch {
	case s.over || known: // its outcome will come
		s.mu.Unlock()
		return
	case len(s.flights) >= s.gateway.config.MaxInFlight:
		s.mu.Unlock()
		s.refuse(number, starlingv1.Code_RATE, "too many actions without an outcome", 20*time.Millisecond)
		return
	}
	if after, ok := s.gateway.overload.Admit(&s.load, uint64(s.id), now); !ok {
		s.mu.Unlock()
		s.refuseWithin(min(after, 2*s.gateway.config.Deadline), number, starlingv1.Code_BUSY, "the server carries no more now: everybody gets an equal share", max(after, time.Millisecond))
		return
	}
	f := flight{number: number, raw: append(s.spare, in.raw...), arrived: arrived, sent: now, to: s.shard}
	s.spare = nil
	s.flights = slices.Insert(s.flights, at, f)
	hold := s.waiting
	routed := s.routed(in.routed, in.act, &f, now)
	s.mu.Unlock()
	if !hold {
		s.gateway.router.Act(s.gateway.edge, routed)
	}
}

func compareNumbers(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// routed makes the message for the owner, of m if that is given. Called under mu.
func (s *session) routed(m *clusterv1.RoutedAct, act *starlingv1.Act, f *flight, now time.Time) *clusterv1.RoutedAct {
	if m == nil {
		m = &clusterv1.RoutedAct{}
	}
	m.Shard, m.Epoch, m.Session, m.Act = s.message, s.epoch, uint64(s.id), act
	m.AgeUs = uint32(min(now.Sub(f.arrived).Microseconds(), 1<<32-1))
	m.DeadlineUs = uint32(s.gateway.config.Deadline.Microseconds())
	return m
}

// refuse tells the client a refusal of the gateway's own. All are retryable.
func (s *session) refuse(number uint64, code starlingv1.Code, message string, after time.Duration) {
	s.refuseWithin(0, number, code, message, after)
}

// refuseWithin does so within a while, with what else is told then.
func (s *session) refuseWithin(wait time.Duration, number uint64, code starlingv1.Code, message string, after time.Duration) {
	s.gateway.metrics.refusals.WithLabelValues(code.String()).Inc()
	s.client.Refusal(&starlingv1.Outcome{Number: number, Code: code, Message: message, RetryAfterMs: uint32(after.Milliseconds())}, wait)
}

// outcome takes an outcome of the owner.
func (s *session) outcome(o *clusterv1.RoutedOutcome) {
	out := o.GetOutcome()
	if out == nil {
		return
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	if o.MovedTo != nil && isRetryable(out.Code) {
		s.follow(out.Number, world.ShardOf(o.MovedTo))
		s.mu.Unlock()
		return
	}
	if out.Code == starlingv1.Code_OUT_OF_ORDER && s.underWay(out.Number) && s.underWay(out.Expected) {
		s.resendAfter(s.nextPause()) // it overtook one that was refused on the way
		s.mu.Unlock()
		return
	}
	s.pause = 0
	s.forget(out.Number, out.Code)
	// The last outcomes of a shard may come after the first ones of the next.
	cell := world.Cell(o.Cell)
	moved := cell != 0 && cell != s.cell && out.Number >= s.told
	s.told = max(s.told, out.Number)
	if moved {
		s.cell = cell
	}
	client := s.client
	if !s.begun {
		s.early = append(s.early, out)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if out.Code >= 100 {
		s.gateway.metrics.refusals.WithLabelValues(out.Code.String()).Inc()
	}
	if moved {
		client.Moved(cell)
	}
	client.Outcome(out)
}

// underWay says whether an action has no outcome yet. Called under mu.
func (s *session) underWay(number uint64) bool {
	return slices.ContainsFunc(s.flights, func(f flight) bool { return f.number == number })
}

// forget drops a flight that got its outcome. Called under mu.
func (s *session) forget(number uint64, code starlingv1.Code) {
	for i := range s.flights {
		if s.flights[i].number == number {
			if raw := s.flights[i].raw; cap(raw) <= maxSpare {
				s.spare = raw[:0]
			}
			s.flights = slices.Delete(s.flights, i, i+1)
			if isRetryable(code) {
				s.gateway.overload.Dropped(uint64(s.id), 1)
			} else {
				s.gateway.overload.Done(uint64(s.id))
			}
			break
		}
	}
	if len(s.flights) == 0 && cap(s.flights) > 8 {
		s.flights = nil
	}
}

// follow sends on what a shard no longer takes because the session moved.
// Called under mu.
func (s *session) follow(number uint64, to world.ShardID) {
	for i := range s.flights {
		if f := &s.flights[i]; f.number == number && f.to != s.shard && !s.waiting {
			return // it was sent to the new home meanwhile
		}
	}
	if to == s.shard {
		s.resendAfter(s.nextPause())
		return
	}
	s.settleIn(to, 0)
	s.resendAfter(0)
}

// settleIn notes where the session lives. Called under mu.
func (s *session) settleIn(shard world.ShardID, epoch uint32) {
	if shard != s.shard || s.message == nil {
		s.message = world.ShardMessage(shard)
	}
	s.shard, s.epoch = shard, epoch
}

func (s *session) home() world.ShardID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shard
}

// Bounds of the pause before an action is sent again.
const (
	firstResend = 5 * time.Millisecond
	longResend  = 200 * time.Millisecond
)

// givenRetry is when a client may send again what the gateway gave up: soon,
// since the gateway keeps it again for RouteTime, and knows when the way is open.
const givenRetry = 50 * time.Millisecond

// nextPause backs off. Called under mu.
func (s *session) nextPause() time.Duration {
	s.pause = max(firstResend, min(2*s.pause, longResend))
	return s.pause
}

// resendAfter makes all actions without outcome go out again, in order, and
// holds new ones until then. Called under mu.
func (s *session) resendAfter(pause time.Duration) {
	if s.waiting && pause > 0 {
		return
	}
	s.waiting = true
	if s.timer == nil {
		s.timer = time.AfterFunc(pause, s.resend)
		return
	}
	s.timer.Reset(pause)
}

func (s *session) resend() {
	s.sending.Lock()
	defer s.sending.Unlock()
	now := time.Now()
	s.mu.Lock()
	s.waiting = false
	if s.over {
		s.mu.Unlock()
		return
	}
	again := make([]*clusterv1.RoutedAct, 0, len(s.flights))
	for i := range s.flights {
		f := &s.flights[i]
		act := starlingv1.ActFromVTPool()
		if act.UnmarshalVT(f.raw) != nil {
			continue // it was decoded once: cannot happen
		}
		f.sent, f.to = now, s.shard
		again = append(again, s.routed(nil, act, f, now))
	}
	s.mu.Unlock()
	s.gateway.metrics.resent.Add(float64(len(again)))
	for _, routed := range again {
		s.gateway.router.Act(s.gateway.edge, routed)
	}
}

// notMine: the owner that was asked does not serve the shard now.
func (s *session) notMine(n *clusterv1.NotMine, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || len(s.flights) == 0 || n.Shard != nil && world.ShardOf(n.Shard) != s.shard {
		return
	}
	s.resendAfter(s.nextPause())
}

// arrived: a hand-over brought the session to another shard.
func (s *session) arrived(n *clusterv1.SessionNotice) {
	s.mu.Lock()
	if s.over || n.Moves != 0 && n.Moves < s.moves {
		s.mu.Unlock()
		return
	}
	s.moves = n.Moves
	to := world.ShardOf(n.Shard)
	elsewhere := to != s.shard
	s.settleIn(to, n.Epoch)
	if elsewhere && len(s.flights) > 0 {
		s.resendAfter(0)
	}
	client, begun, cell := s.client, s.begun, world.Cell(n.Cell)
	if cell != 0 {
		s.cell = cell
	}
	s.mu.Unlock()
	if begun && cell != 0 {
		client.Moved(cell)
	}
}

// ended: the session is over.
func (s *session) ended(why clusterv1.SessionClosed_Why) {
	if why == clusterv1.SessionClosed_MOVED {
		return
	}
	code, reason := ending(why)
	end := func() { s.connection.close(code, reason) }
	s.mu.Lock()
	s.over = true
	if len(s.early) > 0 {
		s.ending, end = end, func() {}
	}
	s.mu.Unlock()
	end()
}

// routeChanged: the shard may have another owner.
func (s *session) routeChanged(affected func(world.ShardID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && len(s.flights) > 0 && affected(s.shard) {
		s.pause = 0
		s.resendAfter(0)
	}
}

// lookAfter gives up actions that nobody answers, and asks again for those of
// silent owners.
func (s *session) lookAfter(now time.Time) {
	config := &s.gateway.config
	s.mu.Lock()
	if len(s.flights) == 0 || s.over || s.client == nil {
		s.mu.Unlock()
		return
	}
	var given []uint64
	silent := false
	s.flights = slices.DeleteFunc(s.flights, func(f flight) bool {
		if now.Sub(f.arrived) >= config.RouteTime {
			given = append(given, f.number)
			return true
		}
		silent = silent || now.Sub(f.sent) >= config.ResendAfter
		return false
	})
	if silent {
		s.resendAfter(s.nextPause())
	}
	s.mu.Unlock()
	s.gateway.overload.Dropped(uint64(s.id), len(given))
	for _, number := range given {
		s.refuse(number, starlingv1.Code_UNAVAILABLE, "the shard is moving or its owner was lost", givenRetry)
	}
}

// disconnected: the websocket is gone.
func (s *session) disconnected() {
	s.mu.Lock()
	over := s.over
	s.over = true
	s.gateway.overload.Dropped(uint64(s.id), len(s.flights))
	s.flights = nil
	if s.timer != nil {
		s.timer.Stop()
	}
	shard := s.shard
	s.mu.Unlock()
	s.client.Remove()
	mine := s.gateway.sessions.remove(s)
	if !over && mine {
		s.gateway.detach(s.id, shard)
	}
}

// detach tells the owner that the connection broke: the resume time runs. The
// answer does not matter.
func (g *Gateway) detach(id world.SessionID, shard world.ShardID) {
	q := g.requests.open(shard)
	g.requests.close(q.number)
	g.router.Control(g.edge, &clusterv1.Control{Request: q.number, Shard: world.ShardMessage(shard),
		Kind: &clusterv1.Control_Detach{Detach: &clusterv1.Detach{Session: uint64(id)}}})
}

// sessionTable finds sessions by id, without one lock for all.
type sessionTable struct {
	stripes [64]sessionStripe
}

type sessionStripe struct {
	mu       sync.RWMutex
	sessions map[world.SessionID]*session
	_        [32]byte // apart from the next one's cache line
}

func (t *sessionTable) stripe(id world.SessionID) *sessionStripe { return &t.stripes[id%64] }

func (t *sessionTable) get(id world.SessionID) *session {
	st := t.stripe(id)
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.sessions[id]
}

// put makes s the one under its id and gives the one before.
func (t *sessionTable) put(s *session) (before *session) {
	st := t.stripe(s.id)
	st.mu.Lock()
	defer st.mu.Unlock()
	before = st.sessions[s.id]
	if st.sessions == nil {
		st.sessions = make(map[world.SessionID]*session)
	}
	st.sessions[s.id] = s
	return before
}

// remove takes s out and says whether it was in.
func (t *sessionTable) remove(s *session) bool {
	st := t.stripe(s.id)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.sessions[s.id] != s {
		return false
	}
	delete(st.sessions, s.id)
	return true
}

func (t *sessionTable) each(f func(*session)) {
	var all []*session
	for i := range t.stripes {
		st := &t.stripes[i]
		st.mu.RLock()
		for _, s := range st.sessions {
			all = append(all, s)
		}
		st.mu.RUnlock()
	}
	for _, s := range all {
		f(s)
	}
}

func (t *sessionTable) len() (n int) {
	for i := range t.stripes {
		st := &t.stripes[i]
		st.mu.RLock()
		n += len(st.sessions)
		st.mu.RUnlock()
	}
	return n
}
