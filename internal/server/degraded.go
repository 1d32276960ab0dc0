package server

import (
	"context"
	"time"
)

const lookEvery = 250 * time.Millisecond

// watchStore tells the clients when the store of the region is away and when it
// is back, as far as the renewals of this process show. Until then what they do
// waits, and is refused as UNAVAILABLE after gateway.route_time.
func (s *Server) watchStore(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for bad := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.node.LeaseValid() {
			bad = 0
		} else {
			bad++
		}
		// A process that was stopped for a moment finds its lease lapsed, too; by
		// the second look it has renewed it.
		if degraded := bad >= 2; degraded != s.degraded.Load() {
			s.degraded.Store(degraded)
			s.tellDegraded(degraded)
		}
	}
}

func (s *Server) tellDegraded(degraded bool) {
	if degraded {
		s.log.Warn("degraded: the store of the region does not answer")
	} else {
		s.log.Warn("recovered: the store of the region answers again")
	}
	if s.gateway == nil {
		return
	}
	message := "the world answers again"
	if degraded {
		message = "the world does not answer now: what you do waits, and may have to be done again"
	}
	s.gateway.Degraded(message, !degraded)
}
