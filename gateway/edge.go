package gateway

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// edge is the gateway as owners see it.
type edge struct{ gateway *Gateway }

// Node implements actions.Edge.
func (e *edge) Node() string { return e.gateway.config.Node }

// Outcome implements actions.Edge.
func (e *edge) Outcome(o *clusterv1.RoutedOutcome) {
	if s := e.gateway.sessions.get(world.SessionID(o.Session)); s != nil {
		s.outcome(o)
	}
}

// ControlReply implements actions.Edge.
func (e *edge) ControlReply(r *clusterv1.ControlReply) { e.gateway.requests.answer(r.Request, r) }

// NotMine implements actions.Edge.
func (e *edge) NotMine(n *clusterv1.NotMine) {
	g := e.gateway
	switch {
	case n.Request != 0 && g.hubs.IsRequest(n.Request):
		g.hubs.ReadRefused(n.Request)
	case n.Request != 0:
		g.requests.answer(n.Request, nil)
	default:
		if s := g.sessions.get(world.SessionID(n.Session)); s != nil {
			s.notMine(n, time.Now())
		}
	}
}

// SessionNotice implements actions.Edge.
func (e *edge) SessionNotice(n *clusterv1.SessionNotice) {
	s := e.gateway.sessions.get(world.SessionID(n.Session))
	if s == nil {
		return
	}
	if n.Arrived {
		s.arrived(n)
	}
	if n.Ended {
		s.ended(n.Why)
	}
}

// Baseline implements actions.Edge.
func (e *edge) Baseline(m pubsub.Message) { e.gateway.hubs.Baseline(m) }

// endings says how a connection is closed when its session has ended.
func ending(why clusterv1.SessionClosed_Why) (starlingv1.CloseCode, string) {
	switch why {
	case clusterv1.SessionClosed_LEFT:
		return starlingv1.CloseCode_LEFT_WORLD, "the session left"
	case clusterv1.SessionClosed_FENCED:
		return starlingv1.CloseCode_FENCED, "a newer session of this participant took over"
	case clusterv1.SessionClosed_PLACE_CLOSED:
		return starlingv1.CloseCode_PLACE_CLOSED, "the place was closed"
	}
	return starlingv1.CloseCode_SESSION_GONE, "the session ended: open a new one"
}
