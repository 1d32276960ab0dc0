package starling

import starlingv1 "github.com/starling-vr/starling/api/starling/v1"

// maxAhead bounds the events remembered of a cell: the chain tells them again
// within about a second, or never.
const maxAhead = 1024

// aheadEvents are the events of a cell that partial frames told, so that they
// are not told again when the cell's chain brings them.
type aheadEvents struct {
	told  map[eventKey]int // how often each was told, and not yet brought again
	order []eventKey       // in the order in which they came; from first on
	first int
}

// eventKey names the events of one action in one cell.
type eventKey struct {
	actor, number uint64
	version       version
}

// take says whether an event is new to the application.
func (a *aheadEvents) take(e *starlingv1.Event, partial bool) bool {
	if !partial && len(a.told) == 0 {
		return true
	}
	key := eventKey{e.Actor, e.Number, versionOf(e.Version)}
	if partial {
		a.remember(key)
		return true
	}
	n := a.told[key]
	switch {
	case n == 0:
		return true
	case n == 1:
		delete(a.told, key)
	default:
		a.told[key] = n - 1
	}
	return false
}

func (a *aheadEvents) remember(key eventKey) {
	if a.told == nil {
		a.told = make(map[eventKey]int)
	}
	a.told[key]++
	a.order = append(a.order, key)
	if len(a.order)-a.first <= maxAhead {
		return
	}
	delete(a.told, a.order[a.first])
	a.first++
	if a.first == maxAhead {
		a.order = append(a.order[:0], a.order[a.first:]...)
		a.first = 0
	}
}
