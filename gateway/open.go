package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/gateway/hub"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// refusal is why a Hello fails: the close code and its reason.
type refusal struct {
	code starlingv1.CloseCode
	why  string
}

func (r *refusal) Error() string { return r.why }

// hello starts to open the client's session. It runs in a goroutine of its
// own: checking a token takes time, and a deep stack that the reading goroutine
// would keep.
func (c *connection) hello(h *starlingv1.Hello, now time.Time) {
	g := c.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.running.Go(func() {
		err := c.authenticateAndOpen(h, now)
		if err == nil {
			return
		}
		var r *refusal
		if !errors.As(err, &r) {
			r = &refusal{starlingv1.CloseCode_UNREACHABLE, err.Error()}
		}
		c.close(r.code, r.why)
	})
}

func (c *connection) authenticateAndOpen(h *starlingv1.Hello, now time.Time) error {
	who, err := c.gateway.auth.Verify(h.Token, now)
	switch {
	case errors.Is(err, auth.ErrExpired):
		return &refusal{starlingv1.CloseCode_TOKEN_EXPIRED, err.Error()}
	case err != nil:
		return &refusal{starlingv1.CloseCode_UNAUTHENTICATED, err.Error()}
	}
	c.expires.Store(who.Expires.UnixNano())
	return c.open(h, who)
}

// entry is what is known of a session that is being opened.
type entry struct {
	who        auth.Identity
	hello      *starlingv1.Hello
	id         world.SessionID
	shard      world.ShardID // to attach to
	generation uint64
	attachment uint64
	pose       *starlingv1.Pose
	place      *starlingv1.Place
	resumed    bool
}

var errGone = errors.New("the connection is gone")

// open runs the protocol of opening or resuming: place, claim, fence, attach.
func (c *connection) open(h *starlingv1.Hello, who auth.Identity) error {
	g := c.gateway
	ctx, cancel := context.WithTimeout(g.context, g.config.OpenTime)
	defer cancel()
	if c.opens(cancel) {
		return errGone
	}
	e := &entry{who: who, hello: h, id: world.SessionID(h.Resume), resumed: h.Resume != 0}
	if err := g.startOf(ctx, e); err != nil {
		return err
	}
	if err := g.claim(ctx, e); err != nil {
		return err
	}
	s := &session{gateway: g, connection: c, id: e.id, participant: who.Participant}
	s.settleIn(e.shard, 0)
	if before := g.sessions.put(s); before != nil {
		before.replaced()
	}
	attached, err := g.attach(ctx, e, s)
	if err != nil {
		s.abandon()
		return err
	}
	c.begin(e, s, attached)
	return nil
}

// startOf finds where a new session begins.
func (g *Gateway) startOf(ctx context.Context, e *entry) error {
	h := e.hello
	if h.Place != 0 {
		if err := g.placeOf(ctx, e); err != nil {
			return err
		}
	}
	if e.resumed {
		return nil
	}
	if err := checkStart(h); err != nil {
		return &refusal{starlingv1.CloseCode_BAD_MESSAGE, err.Error()}
	}
	if h.Place != 0 {
		e.shard = world.ShardID{Place: world.PlaceID(h.Place)}
		if h.Start == nil {
			h.Start = &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{}}}
		}
	} else {
		at := h.Start.GetGeo()
		cell, err := hex.Cell(at.Latitude, at.Longitude, g.shards.CellResolution)
		if err != nil {
			return &refusal{starlingv1.CloseCode_BAD_MESSAGE, err.Error()}
		}
		e.shard = g.shards.Shard(0, cell)
	}
	e.pose = &starlingv1.Pose{Position: h.Start}
	return nil
}

func checkStart(h *starlingv1.Hello) error {
	geo, local := h.Start.GetGeo(), h.Start.GetLocal()
	switch {
	case h.Place == 0 && geo == nil:
		return errors.New("start: a geographic position is needed")
	case h.Place != 0 && geo != nil:
		return errors.New("start: want a local position in a place")
	case geo != nil && !finite(geo.Latitude, geo.Longitude, float64(geo.Altitude)),
		local != nil && !finite(float64(local.East), float64(local.North), float64(local.Up)):
		return errors.New("start: not a finite position")
	}
	return nil
}

func finite(values ...float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

func (g *Gateway) placeOf(ctx context.Context, e *entry) error {
	reply, _, err := g.ask(ctx, world.ShardID{Place: world.PlaceID(e.hello.Place)}, func(c *clusterv1.Control) {
		c.Kind = &clusterv1.Control_PlaceInfo{PlaceInfo: &clusterv1.PlaceInfo{}}
	})
	if err != nil {
		return err
	}
	if reply.Code != starlingv1.Code_APPLIED || reply.Place == nil {
		return &refusal{starlingv1.CloseCode_NOT_ALLOWED, fmt.Sprintf("no place %d: %s", e.hello.Place, reply.Message)}
	}
	e.place = reply.Place
	if access := e.place.Access; access != "" && !slices.Contains(e.who.Scopes, access) {
		return &refusal{starlingv1.CloseCode_NOT_ALLOWED, "the place needs a scope that the token lacks"}
	}
	return nil
}

// claim makes the session the participant's current one, and ends the one
// before; on resume it finds where the session lives.
func (g *Gateway) claim(ctx context.Context, e *entry) error {
	if !e.resumed {
		e.id = newSessionID()
	}
	participant := e.who.Participant
	reply, _, err := g.ask(ctx, world.RegisterOf(participant), func(c *clusterv1.Control) {
		c.Kind = &clusterv1.Control_Claim{Claim: &clusterv1.Claim{Participant: participant, Session: uint64(e.id), Resume: e.resumed}}
	})
	if err != nil {
		return err
	}
	current := reply.Registration
	if e.resumed {
		return resumable(e, reply, current)
	}
	if reply.Code != starlingv1.Code_APPLIED {
		return &refusal{starlingv1.CloseCode_UNREACHABLE, "the session could not be registered: " + reply.Message}
	}
	e.generation, e.attachment = reply.Generation, reply.Attachment
	if current == nil || current.Gone || current.Shard == nil || current.Session == uint64(e.id) {
		return nil
	}
	_, _, err = g.ask(ctx, world.ShardOf(current.Shard), func(c *clusterv1.Control) {
		c.Kind = &clusterv1.Control_Fence{Fence: &clusterv1.Fence{Session: current.Session, Participant: participant}}
	})
	return err
}

func resumable(e *entry, reply *clusterv1.ControlReply, current *clusterv1.Registration) error {
	switch {
	case current == nil || current.Session == uint64(e.id) && (current.Gone || current.Shard == nil):
		return &refusal{starlingv1.CloseCode_SESSION_GONE, "nothing left to resume: open a new session"}
	case current.Session != uint64(e.id):
		return &refusal{starlingv1.CloseCode_FENCED, "a newer session of this participant took over"}
	case reply.Code != starlingv1.Code_APPLIED:
		return &refusal{starlingv1.CloseCode_SESSION_GONE, reply.Message}
	}
	e.shard, e.generation, e.attachment = world.ShardOf(current.Shard), reply.Generation, reply.Attachment
	return nil
}

func newSessionID() world.SessionID {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint64(b[:]); id != 0 {
			return world.SessionID(id)
		}
	}
}

// attach creates the session and its avatar, or binds an existing one.
func (g *Gateway) attach(ctx context.Context, e *entry, s *session) (*clusterv1.ControlReply, error) {
	reply, shard, err := g.ask(ctx, e.shard, func(c *clusterv1.Control) {
		c.Kind = &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: uint64(e.id), Participant: e.who.Participant, Gateway: g.config.Node, Scopes: e.who.Scopes,
			Resume: e.resumed, LastNumber: e.hello.LastNumber, Pose: e.pose, Attributes: e.hello.Attributes, Generation: e.generation, Attachment: e.attachment}}
	})
	if err != nil {
		return nil, err
	}
	if reply.Code != starlingv1.Code_APPLIED || reply.Attached == nil {
		return nil, notAttached(e, reply)
	}
	s.mu.Lock()
	s.settleIn(shard, s.epoch)
	s.mu.Unlock()
	return reply, nil
}

func notAttached(e *entry, reply *clusterv1.ControlReply) error {
	switch {
	case e.resumed && reply.Code == starlingv1.Code_FORBIDDEN:
		return &refusal{starlingv1.CloseCode_FENCED, "the session was resumed over another connection"}
	case e.resumed:
		return &refusal{starlingv1.CloseCode_SESSION_GONE, "nothing left to resume: open a new session"}
	case reply.Code == starlingv1.Code_INVALID:
		return &refusal{starlingv1.CloseCode_BAD_MESSAGE, reply.Message}
	}
	return &refusal{starlingv1.CloseCode_NOT_ALLOWED, reply.Message}
}

// begin welcomes the client and opens the connection for actions.
func (c *connection) begin(e *entry, s *session, reply *clusterv1.ControlReply) {
	g, attached := c.gateway, reply.Attached
	place := world.PlaceID(s.home().Place)
	ring, budget := g.ring(e.hello.Ring), g.granted(e.hello.Budget)
	if reply.Place != nil {
		e.place = reply.Place
	}
	welcome := &starlingv1.Welcome{
		Session: uint64(e.id), Avatar: attached.Avatar, NextNumber: attached.NextNumber, Pose: attached.Pose,
		Place: uint64(place), Ring: uint32(ring), DeadlineUs: uint32(g.config.Deadline.Microseconds()),
		ResumeMs: uint32(g.config.ResumeTime.Milliseconds()), Resumed: e.resumed, Gateway: g.config.Node, Version: g.version,
		CellResolution: uint32(g.shards.CellResolution), MaxInFlight: uint32(g.config.MaxInFlight), PlaceInfo: e.place,
		Budget: budgetMessage(budget),
	}
	client := g.hubs.Prepare(hub.Newcomer{Conn: c.conn, Avatar: world.EntityID(attached.Avatar), Place: place,
		Cell: world.Cell(attached.Cell), Ring: ring, Budget: budget})
	s.mu.Lock()
	s.client = client
	s.mu.Unlock()
	c.session.Store(s) // before Welcome: the client may act as soon as it has that
	client.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: welcome}})
	for _, out := range attached.Remembered {
		out.Repeated = true
		client.Outcome(out)
	}
	s.mu.Lock()
	for _, out := range s.early {
		client.Outcome(out)
	}
	s.early, s.begun = nil, true
	over, cell, end := s.over, s.cell, s.ending
	s.mu.Unlock()
	if end != nil {
		end()
	}
	if cell != 0 && cell != world.Cell(attached.Cell) {
		client.Moved(cell)
	}
	c.stage.Store(int32(open))
	g.metrics.sessions.WithLabelValues(map[bool]string{false: "opened", true: "resumed"}[e.resumed]).Inc()
	if g.draining.Load() {
		c.drainLate()
	}
	if c.opens(nil) { // Closed may have looked before the session was there
		s.disconnected()
		return
	}
	if c.closing.Load() || over {
		client.Close(starlingv1.CloseCode_GOING_AWAY, g.closeReason(starlingv1.CloseCode_GOING_AWAY, "closed while opening"))
	}
}

// replaced: the session was resumed over another connection to this gateway.
func (s *session) replaced() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.connection.close(starlingv1.CloseCode_FENCED, "the session was resumed over another connection")
}

// abandon gives up a session that could not be opened.
func (s *session) abandon() {
	s.mu.Lock()
	s.over = true
	shard := s.shard
	s.mu.Unlock()
	if s.gateway.sessions.remove(s) {
		s.gateway.detach(s.id, shard)
	}
}
