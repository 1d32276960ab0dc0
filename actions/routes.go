package actions

import "github.com/starling-vr/starling/world"

// RoutesChanged says that the way to some shards has changed or is open again:
// what the shards here sent there and know no answer of goes again at once. It
// does not block.
func (h *Host) RoutesChanged(affected func(world.ShardID) bool) {
	h.shards.Range(func(_, s any) bool {
		s.(*served).routesChanged(affected)
		return true
	})
}

// AssignmentChanged says that the assignment may answer differently: shards that
// wait to be loaded try again at once.
func (h *Host) AssignmentChanged() {
	h.shards.Range(func(_, s any) bool {
		s.(*served).tryAgain()
		return true
	})
}

// routesChanged: see Host.RoutesChanged.
func (s *served) routesChanged(affected func(world.ShardID) bool) {
	s.mu.Lock()
	due := s.machine != nil && s.machine.RoutesChanged(affected)
	s.mu.Unlock()
	if due {
		s.tickNow()
	}
}

// tryAgain cuts a pause of loading short.
func (s *served) tryAgain() {
	select {
	case s.retry <- struct{}{}:
	default:
	}
}
