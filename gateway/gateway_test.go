package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/pubsub/direct"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// rig is a gateway on a socket, in front of a scripted owner.
type rig struct {
	t       testing.TB
	gateway *Gateway
	owner   *scriptedOwner
	url     string
	key     []byte
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	bus := direct.New()
	owner := newScriptedOwner(bus)
	key := auth.NewKey()
	verifier, err := auth.NewWithKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.Node, config.Hubs, config.Reader = "test", 2, readerOf(t)
	if change != nil {
		change(&config)
	}
	g, err := New(config, Deps{Router: LocalRouter(owner), Bus: bus, Auth: verifier, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		_ = g.Close()
		server.Close()
		_ = bus.Close()
	})
	return &rig{t: t, gateway: g, owner: owner, url: "ws" + strings.TrimPrefix(server.URL, "http"), key: key}
}

// Where the tests happen: Taipei.
const (
	startLatitude  = 25.0330
	startLongitude = 121.5654
)

// client speaks the protocol over a real socket.
type client struct {
	t    testing.TB
	ws   *websocket.Conn
	json bool
}

func (r *rig) dial(json bool) *client {
	r.t.Helper()
	name := conn.ProtoSubprotocol
	if json {
		name = conn.JSONSubprotocol
	}
	dialer := websocket.Dialer{Subprotocols: []string{name}, HandshakeTimeout: patience}
	ws, response, err := dialer.Dial(r.url, nil)
	if err != nil {
		r.t.Fatalf("dial: %v (%v)", err, response)
	}
	r.t.Cleanup(func() { _ = ws.Close() })
	return &client{t: r.t, ws: ws, json: json}
}

func (r *rig) token(participant string, ttl time.Duration) string {
	token, err := auth.Mint(r.key, participant, nil, ttl, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) hello(participant string) *starlingv1.Hello {
	return &starlingv1.Hello{Token: r.token(participant, time.Hour), Client: "test", Ring: 1, Start: position(startLatitude, startLongitude)}
}

// join dials, says hello and awaits Welcome.
func (r *rig) join(participant string) (*client, *starlingv1.Welcome) {
	r.t.Helper()
	c := r.dial(false)
	return c, c.greet(r.hello(participant))
}

func (c *client) greet(h *starlingv1.Hello) *starlingv1.Welcome {
	c.t.Helper()
	c.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: h}})
	m := c.until(func(m *starlingv1.ServerMessage) bool { return m.GetWelcome() != nil })
	return m.GetWelcome()
}

func position(latitude, longitude float64) *starlingv1.Position {
	return &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: latitude, Longitude: longitude}}}
}

func move(number uint64, latitude, longitude float64) *starlingv1.Act {
	return &starlingv1.Act{Number: number, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{
		Pose: &starlingv1.Pose{Position: position(latitude, longitude)}}}}
}

func speak(number uint64, text string) *starlingv1.Act {
	return &starlingv1.Act{Number: number, Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: text}}}}
}

func (c *client) act(a *starlingv1.Act) {
	c.t.Helper()
	c.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: a}})
}

func (c *client) send(m *starlingv1.ClientMessage) {
	c.t.Helper()
	kind, payload, err := websocket.BinaryMessage, []byte(nil), error(nil)
	if c.json {
		kind = websocket.TextMessage
		payload, err = protojson.Marshal(m)
	} else {
		payload, err = m.MarshalVT()
	}
	if err == nil {
		err = c.ws.WriteMessage(kind, payload)
	}
	if err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// patience is how long a test waits for what must happen: a loaded machine may
// take seconds for what a quiet one does in a millisecond.
const patience = time.Minute

func (c *client) read() (*starlingv1.ServerMessage, error) {
	_ = c.ws.SetReadDeadline(time.Now().Add(patience))
	_, payload, err := c.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	m := &starlingv1.ServerMessage{}
	if c.json {
		return m, protojson.Unmarshal(payload, m)
	}
	return m, m.UnmarshalVT(payload)
}

// until reads until a message satisfies want.
func (c *client) until(want func(*starlingv1.ServerMessage) bool) *starlingv1.ServerMessage {
	c.t.Helper()
	for {
		m, err := c.read()
		if err != nil {
			c.t.Fatalf("while waiting for a message: %v", err)
		}
		if want(m) {
			return m
		}
	}
}

func (c *client) outcome(number uint64) *starlingv1.Outcome {
	c.t.Helper()
	return c.until(func(m *starlingv1.ServerMessage) bool {
		return m.GetOutcome().GetNumber() == number && m.GetOutcome() != nil
	}).GetOutcome()
}

// closed reads to the end and gives the close code.
func (c *client) closed() (starlingv1.CloseCode, string) {
	c.t.Helper()
	for {
		_, err := c.read()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		if closed, _ = err.(*websocket.CloseError); closed == nil {
			c.t.Fatalf("the connection ended without a close frame: %v", err)
		}
		return starlingv1.CloseCode(closed.Code), closed.Text
	}
}

func (c *client) wantClosed(code starlingv1.CloseCode) {
	c.t.Helper()
	if got, reason := c.closed(); got != code {
		c.t.Fatalf("closed as %v (%q), want %v", got, reason, code)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// updateOf finds the update of an entity in a frame.
func updateOf(m *starlingv1.ServerMessage, entity uint64) *starlingv1.Update {
	for _, commit := range m.GetFrame().GetCommits() {
		for _, step := range commit.Steps {
			if u := step.GetUpdate(); u.GetEntity() == entity {
				return u
			}
		}
	}
	return nil
}

func TestHelloActFrame(t *testing.T) {
	for _, json := range []bool{false, true} {
		t.Run(fmt.Sprintf("json=%v", json), func(t *testing.T) {
			r := newRig(t, nil)
			watcher, _ := r.join("watcher")
			actor := r.dial(json)
			welcome := actor.greet(r.hello("actor"))
			if welcome.NextNumber != 1 || welcome.Resumed || welcome.Session == 0 || welcome.DeadlineUs != 15000 || welcome.MaxInFlight != 64 {
				t.Errorf("welcome: %v", welcome)
			}
			baseline := actor.until(func(m *starlingv1.ServerMessage) bool { return updateOf(m, welcome.Avatar) != nil })
			if !baseline.GetFrame().Baseline {
				t.Errorf("the avatar was first seen in %v, want a baseline", baseline)
			}
			watcher.until(func(m *starlingv1.ServerMessage) bool { return updateOf(m, welcome.Avatar) != nil })
			actor.act(move(1, startLatitude+0.00001, startLongitude))
			if o := actor.outcome(1); o.Code != starlingv1.Code_APPLIED {
				t.Errorf("outcome: %v", o)
			}
			m := watcher.until(func(m *starlingv1.ServerMessage) bool {
				u := updateOf(m, welcome.Avatar)
				return u != nil && u.Number == 1
			})
			if age := m.GetFrame().Commits[0].AgeUs; age == 0 || age > uint32(patience.Microseconds()) {
				t.Errorf("age %d us", age)
			}
		})
	}
}

func TestHandshakeNeedsSubprotocol(t *testing.T) {
	r := newRig(t, nil)
	_, response, err := websocket.DefaultDialer.Dial(r.url, nil)
	if err == nil || response.StatusCode != http.StatusBadRequest {
		t.Fatalf("dial without subprotocol: %v, %v", response, err)
	}
}
