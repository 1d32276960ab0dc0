package starling

import (
	"math/rand/v2"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

const (
	firstRetry = 5 * time.Millisecond
	mostRetry  = 250 * time.Millisecond
)

// action is one that has no final outcome yet.
type action struct {
	act     *starlingv1.Act
	done    func(Outcome)
	sent    bool      // it is on its way: an outcome is owed
	tried   bool      // it was sent at least once: Act.Number is set
	refused int       // times it was refused for now
	retryAt time.Time // not before
}

// window holds the unanswered actions of a session, in the order of their
// numbers; those that were never sent have none yet. It is a pure state
// machine: the caller brings the time and does the writing.
type window struct {
	next    uint64 // number of the next action that is sent for the first time
	limit   int    // unanswered ones that the session takes
	queue   int    // more that may wait
	actions []*action
}

func (w *window) full() bool { return len(w.actions) >= w.limit+w.queue }

// add puts an action behind the others.
func (w *window) add(a *action) bool {
	if w.full() {
		return false
	}
	w.actions = append(w.actions, a)
	return true
}

// withdraw takes out an action that was never sent.
func (w *window) withdraw(a *action) bool {
	for i, other := range w.actions {
		if other == a && !a.tried {
			w.actions = append(w.actions[:i], w.actions[i+1:]...)
			return true
		}
	}
	return false
}

// due gives the next action to send now, in number order; nil when there is
// none, with the time at which to ask again (zero: when something changes).
func (w *window) due(now time.Time) (*action, time.Time) {
	for i, a := range w.actions {
		if a.sent {
			continue
		}
		if i >= w.limit {
			return nil, time.Time{}
		}
		if a.retryAt.After(now) {
			return nil, a.retryAt // what follows must not overtake it
		}
		if !a.tried {
			a.tried = true
			a.act.Number = w.next
			w.next++
		}
		a.sent = true
		return a, time.Time{}
	}
	return nil, time.Time{}
}

// find gives the action with a number, nil if it is answered or was never
// sent. Outcomes come in order: the first is the one nearly always.
func (w *window) find(number uint64) (int, *action) {
	for i, a := range w.actions {
		if !a.tried {
			break
		}
		if a.act.Number == number {
			return i, a
		}
	}
	return 0, nil
}

// outcome takes an outcome from the wire. It gives the action if that is its
// end; nil if it is to be sent again or is no longer waited for.
func (w *window) outcome(o *starlingv1.Outcome, now time.Time) *action {
	i, a := w.find(o.Number)
	if a == nil {
		return nil
	}
	if !Retryable(o.Code) {
		w.actions = append(w.actions[:i], w.actions[i+1:]...)
		return a
	}
	if !a.sent {
		return nil // refused twice: it waits already
	}
	a.sent = false
	a.retryAt = now.Add(retryPause(o, a.refused))
	a.refused++
	return nil
}

// retryPause is how long to wait before sending again: what the gateway asks
// for, and a random quarter more; when it names no time, from 5 ms doubling up
// to 250 ms. An action that was only refused for coming before another may follow
// that one at once.
func retryPause(o *starlingv1.Outcome, refused int) time.Duration {
	if asked := time.Duration(o.RetryAfterMs) * time.Millisecond; asked > 0 {
		return asked + rand.N(asked/4+1)
	}
	if o.Code == starlingv1.Code_OUT_OF_ORDER && o.Expected < o.Number && refused == 0 {
		return 0
	}
	pause := min(firstRetry<<min(refused, 10), mostRetry)
	return pause + rand.N(pause/4+1)
}

// resume makes everything unanswered due again, after a new connection.
func (w *window) resume() {
	for _, a := range w.actions {
		a.sent = false
		a.retryAt = time.Time{}
		a.refused = 0
	}
}

// lastFinal is the highest number whose final outcome is known.
func (w *window) lastFinal() uint64 {
	if len(w.actions) > 0 && w.actions[0].tried {
		return w.actions[0].act.Number - 1
	}
	if w.next == 0 {
		return 0
	}
	return w.next - 1
}

// clear empties the window and gives what was in it.
func (w *window) clear() []*action {
	all := w.actions
	w.actions = nil
	return all
}

// Applied says whether a code means that the action took effect (1-99).
func Applied(code starlingv1.Code) bool { return code >= 1 && code < 100 }

// Retryable says whether a code means that the action did not take effect and
// may be sent again under its number (200-299). The client does that itself.
func Retryable(code starlingv1.Code) bool { return code >= 200 && code < 300 }
