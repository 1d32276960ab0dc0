package hub

import "time"

// SimulatedPace is the rule by which a hub lets writes wait for company, for
// those who simulate one: it has no clock. Times are since any origin, the same
// for all calls.
type SimulatedPace struct{ pace pace }

// TickEvery is the time between two ticks.
const TickEvery = tickEvery

var origin = time.Unix(0, 0)

// NewSimulatedPace makes one for a flush share (0: nothing waits) and a deadline.
func NewSimulatedPace(share, deadline time.Duration) *SimulatedPace {
	return &SimulatedPace{newPace(share, deadline)}
}

// Worked notes so many flushes, the time that they took, and by how much they
// came after they were due.
func (p *SimulatedPace) Worked(flushes int, took, late time.Duration) {
	p.pace.worked(flushes, took, late)
}

// Tick renews the estimates.
func (p *SimulatedPace) Tick(now time.Duration) { p.pace.tick(origin.Add(now)) }

// Due is when something must leave that comes in now and arrived at the gateway
// at arrived.
func (p *SimulatedPace) Due(now, arrived time.Duration) time.Duration {
	return p.pace.due(origin.Add(now), origin.Add(arrived)).Sub(origin)
}

// Left notes how old an update was when it was handed to a socket.
func (p *SimulatedPace) Left(age time.Duration) { p.pace.left(age) }

// Ease is how much time updates have to spare, 0 to 1, by which rounds of a store
// may be further apart; not known while too few leave.
func (p *SimulatedPace) Ease() (ease float64, known bool) { return p.pace.ease, p.pace.told }

// PutOff is by how much a hub is woken later than its first message comes, for the
// company of the next ones.
func (p *SimulatedPace) PutOff() time.Duration {
	if p.pace.wait >= leisure {
		return moment
	}
	return 0
}

// Each is the time that one flush takes, smoothed.
func (p *SimulatedPace) Each() time.Duration { return p.pace.each }

// SimulatedRhythm is the rule by which a hub writes ahead of time what would fall
// due before the store's next round.
type SimulatedRhythm struct{ rhythm rhythm }

// Turn notes a turn of the hub at now, and whether it brought messages. It says
// how far ahead of time to write in it.
func (r *SimulatedRhythm) Turn(now time.Duration, brought bool, p *SimulatedPace) time.Duration {
	return r.rhythm.turn(origin.Add(now), brought, p.pace.wait)
}
