package e2e

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/internal/servertest"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

const (
	key      = "a key of thirty-two bytes or more"
	patience = time.Minute
)

// start brings a server up; it is stopped with the test. Avatars are fast.
func start(t testing.TB, set ...string) *server.Server {
	t.Helper()
	settings, err := server.Load(config.Sources{Set: append(append(servertest.Patient(),
		"listen=127.0.0.1:0", "auth.key="+key, "store.kind=memory", "gateway.drain_time=100ms",
		"owner.speed=1000", "owner.speed_burst=100000",
	), set...)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(t.Context(), settings, server.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

func endpoint(s *server.Server) string { return "ws://" + s.Address() + server.Endpoint }

func token(t testing.TB, name string, scopes ...string) string {
	t.Helper()
	text, err := auth.Mint([]byte(key), name, scopes, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// participant is a client with what it was told.
type participant struct {
	*starling.Client
	t    testing.TB
	cuts *cutter

	mu     sync.Mutex
	events []*starlingv1.Event
	missed uint32
}

// join makes a participant at a position, who watches one ring unless options
// say otherwise.
func join(t testing.TB, s *server.Server, name string, options starling.Options, scopes ...string) *participant {
	t.Helper()
	p, err := dial(t, s, name, options, scopes...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func dial(t testing.TB, s *server.Server, name string, options starling.Options, scopes ...string) (*participant, error) {
	t.Helper()
	p := &participant{t: t, cuts: &cutter{}}
	if options.Token == nil {
		options.Token = starling.StaticToken(token(t, name, scopes...))
	}
	if options.Ring == 0 {
		options.Ring = 1
	}
	options.Dialer = &websocket.Dialer{NetDialContext: p.cuts.dial}
	options.Reconnect = starling.Backoff{First: 5 * time.Millisecond, Most: 100 * time.Millisecond}
	options.OnEvent = func(_ uint64, e *starlingv1.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events = append(p.events, e)
	}
	options.OnMissed = func(_ uint64, n uint32) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.missed += n
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	if p.Client, err = starling.Dial(ctx, endpoint(s), options); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		_ = p.Close()
		<-p.Done()
	})
	return p, nil
}

// cutter dials, and cuts what it dialled.
type cutter struct {
	mu   sync.Mutex
	conn net.Conn
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return conn, err
}

// cut resets the connection, without a word.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.(*net.TCPConn).SetLinger(0)
	_ = c.conn.Close()
}

// must wants an action applied.
func (p *participant) must(act *starlingv1.Act) starling.Outcome {
	p.t.Helper()
	out, err := p.try(act)
	if err != nil {
		p.t.Fatalf("%v: %v", act, err)
	}
	return out
}

// refused wants an action refused with a code.
func (p *participant) refused(act *starlingv1.Act, code starlingv1.Code) {
	p.t.Helper()
	_, err := p.try(act)
	var refusal *starling.RefusedError
	if !errors.As(err, &refusal) || refusal.Code != code {
		p.t.Errorf("%v: %v, want %v", act, err, code)
	}
}

func (p *participant) try(act *starlingv1.Act) (starling.Outcome, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	return p.Act(ctx, act)
}

// closedAs waits for the client's end and wants a close code.
func (p *participant) closedAs(code starlingv1.CloseCode) {
	p.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		p.t.Fatalf("not closed, want %v", code)
	}
	wantClose(p.t, p.Err(), code)
}

func wantClose(t testing.TB, err error, code starlingv1.CloseCode) {
	t.Helper()
	var closed *starling.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		t.Errorf("closed: %v, want %v", err, code)
	}
}

// heard counts the events that fit.
func (p *participant) heard(fits func(*starlingv1.Event) bool) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if fits(e) {
			n++
		}
	}
	return n
}

// sees waits until an entity is in view as wanted.
func (p *participant) sees(what string, id uint64, fits func(starling.Entity) bool) {
	p.t.Helper()
	eventually(p.t, what, func() bool {
		e, ok := p.Entity(id)
		return ok && fits(e)
	})
}

func (p *participant) misses(what string, id uint64) {
	p.t.Helper()
	eventually(p.t, what, func() bool {
		_, ok := p.Entity(id)
		return !ok
	})
}

// entities counts those in view.
func (p *participant) entities() (n int) {
	for range p.Entities {
		n++
	}
	return n
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-late.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func anything(starling.Entity) bool { return true }

// point is a position on the map.
type point struct{ latitude, longitude float64 }

func (p point) position() *starlingv1.Position {
	return starling.Geographic(p.latitude, p.longitude, 0)
}

// east gives the point so many metres east of p.
func (p point) east(metres float64) point {
	return point{p.latitude, p.longitude + metres/100_750} // a degree at 25 degrees north
}

func (p point) shard() world.ShardID {
	m := world.DefaultShardMap()
	cell, err := hex.Cell(p.latitude, p.longitude, m.CellResolution)
	if err != nil {
		panic(err)
	}
	return m.Shard(0, cell)
}

// border finds a point, within a metre, at which a walk to the east comes into
// another shard.
func border(t testing.TB) point {
	t.Helper()
	first := point{25.0339, 121.5645}
	for metres := 0.0; metres < 5000; metres++ {
		if p := first.east(metres); p.shard() != first.shard() {
			return p
		}
	}
	t.Fatal("no border within 5 km")
	return point{}
}

func moveTo(position *starlingv1.Position) *starlingv1.Act {
	return starling.MoveAct(&starlingv1.Move{Pose: &starlingv1.Pose{Position: position}})
}

func spawn(kind string, position *starlingv1.Position) *starlingv1.Act {
	return &starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: kind, Pose: &starlingv1.Pose{Position: position}}}}
}

// isAt says whether an entity is within a centimetre or so of a point.
func isAt(e starling.Entity, p point) bool {
	geo := e.Pose.GetPosition().GetGeo()
	return geo != nil && near(geo.Latitude, p.latitude) && near(geo.Longitude, p.longitude)
}

func near(a, b float64) bool { return a-b < 1e-7 && b-a < 1e-7 }
