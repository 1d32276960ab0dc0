package starling_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

// edge is a gateway for one client: it welcomes, counts system calls, and
// answers actions as a test likes.
type edge struct {
	*httptest.Server
	limit   uint32
	answer  func(e *edge, act *starlingv1.Act)
	mu      sync.Mutex
	ws      *websocket.Conn
	acts    []*starlingv1.Act
	arrived chan struct{}
}

func newEdge(t *testing.T, limit uint32, answer func(*edge, *starlingv1.Act)) *edge {
	e := &edge{limit: limit, answer: answer, arrived: make(chan struct{}, 1024)}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *edge) url() string { return "ws" + strings.TrimPrefix(e.URL, "http") }

func (e *edge) serve(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"starling.v1.proto"}}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	e.ws = ws
	for {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return
		}
		var m starlingv1.ClientMessage
		if m.UnmarshalVT(data) != nil {
			return
		}
		if m.GetHello() != nil {
			e.send(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{Session: 7, Avatar: 8, NextNumber: 1, MaxInFlight: e.limit}}})
		}
		if act := m.GetAct(); act != nil {
			e.mu.Lock()
			e.acts = append(e.acts, act)
			e.mu.Unlock()
			select {
			case e.arrived <- struct{}{}:
			default: // nobody counts
			}
			if e.answer != nil {
				e.answer(e, act)
			}
		}
	}
}

func (e *edge) send(m *starlingv1.ServerMessage) {
	data, err := m.MarshalVT()
	if err == nil {
		_ = e.ws.WriteMessage(websocket.BinaryMessage, data)
	}
}

func (e *edge) applied(number uint64) {
	e.send(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Outcome{Outcome: &starlingv1.Outcome{Number: number, Code: starlingv1.Code_APPLIED}}})
}

func apply(e *edge, act *starlingv1.Act) { e.applied(act.Number) }

func dial(t *testing.T, e *edge, options starling.Options) *starling.Client {
	t.Helper()
	client, err := starling.Dial(t.Context(), e.url(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		<-client.Done()
	})
	return client
}

func TestBlockingActions(t *testing.T) {
	client := dial(t, newEdge(t, 4, apply), starling.Options{})
	ctx := t.Context()
	at := starling.Geographic(25, 121, 0)
	for name, act := range map[string]func() (starling.Outcome, error){
		"move":     func() (starling.Outcome, error) { return client.Move(ctx, &starlingv1.Pose{Position: at}) },
		"relocate": func() (starling.Outcome, error) { return client.Relocate(ctx, &starlingv1.Pose{Position: at}) },
		"speak":    func() (starling.Outcome, error) { return client.Speak(ctx, "hello") },
		"voice":    func() (starling.Outcome, error) { return client.Voice(ctx, []byte{1}) },
		"touch":    func() (starling.Outcome, error) { return client.Touch(ctx, 9) },
		"grab":     func() (starling.Outcome, error) { return client.Grab(ctx, 9) },
		"release":  func() (starling.Outcome, error) { return client.Release(ctx, 9, at) },
		"spawn": func() (starling.Outcome, error) {
			return client.Spawn(ctx, "ball", &starlingv1.Pose{Position: at}, nil)
		},
		"despawn": func() (starling.Outcome, error) { return client.Despawn(ctx, 9) },
		"set": func() (starling.Outcome, error) {
			return client.SetAttribute(ctx, 9, "hat", &starlingv1.Value{Is: &starlingv1.Value_Flag{Flag: true}})
		},
		"call":   func() (starling.Outcome, error) { return client.Call(ctx, "catch", 9, nil) },
		"create": func() (starling.Outcome, error) { return client.CreatePlace(ctx, &starlingv1.Place{Name: "arena"}) },
		"close":  func() (starling.Outcome, error) { return client.ClosePlace(ctx, 5) },
		"leave":  func() (starling.Outcome, error) { return client.Leave(ctx) },
	} {
		if _, err := act(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManyActionsAtOnce(t *testing.T) {
	e := newEdge(t, 64, apply)
	client := dial(t, e, starling.Options{})
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 200 {
				if _, err := client.Speak(t.Context(), "hello"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, act := range e.acts {
		if act.Number != uint64(i+1) {
			t.Fatalf("action %d on the wire bears number %d", i+1, act.Number)
		}
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	client := dial(t, newEdge(t, 2, nil), starling.Options{Queue: 1})
	var failed sync.WaitGroup
	for range 3 {
		failed.Add(1)
		if err := client.Do(starling.SpeakAct("a"), func(starling.Outcome) { failed.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Do(starling.SpeakAct("b"), nil); !errors.Is(err, starling.ErrTooManyInFlight) {
		t.Errorf("the fourth: %v", err)
	}
	if n := client.InFlight(); n != 3 {
		t.Errorf("%d are in flight", n)
	}
	client.Close()
	failed.Wait()
	if err := client.Do(starling.SpeakAct("c"), nil); !errors.Is(err, starling.ErrNotSent) {
		t.Errorf("after Close: %v", err)
	}
}

// TestAnAbandonedActionSaysWhatIsKnown: sent ones have an unknown fate, waiting
// ones never happen.
func TestAnAbandonedActionSaysWhatIsKnown(t *testing.T) {
	e := newEdge(t, 1, nil)
	client := dial(t, e, starling.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() {
		_, err := client.Speak(ctx, "sent")
		sent <- err
	}()
	<-e.arrived
	waiting := make(chan error, 1)
	go func() {
		_, err := client.Speak(ctx, "waiting")
		waiting <- err
	}()
	for client.InFlight() < 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("the second never waited")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	var unknown *starling.UnknownFateError
	if err := <-sent; !errors.As(err, &unknown) || unknown.Number != 1 {
		t.Errorf("the sent one: %v", err)
	}
	if err := <-waiting; !errors.Is(err, starling.ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting one: %v", err)
	}
	if n := client.InFlight(); n != 1 {
		t.Errorf("%d are in flight", n)
	}
}

func TestWaitingForRoomEndsWithTheContext(t *testing.T) {
	client := dial(t, newEdge(t, 1, nil), starling.Options{Queue: -1})
	if err := client.Do(starling.SpeakAct("a"), func(starling.Outcome) {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := client.Speak(ctx, "b"); !errors.Is(err, starling.ErrNotSent) {
		t.Error(err)
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	client := dial(t, newEdge(t, 1, func(e *edge, act *starlingv1.Act) {
		e.send(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Outcome{Outcome: &starlingv1.Outcome{Number: act.Number, Code: starlingv1.Code_HELD, Message: "somebody has it"}}})
	}), starling.Options{})
	_, err := client.Grab(t.Context(), 9)
	var refused *starling.RefusedError
	if !errors.As(err, &refused) || refused.Code != starlingv1.Code_HELD || !strings.Contains(err.Error(), "somebody has it") {
		t.Error(err)
	}
}

func TestClosingInACallback(t *testing.T) {
	e := newEdge(t, 1, apply)
	client := dial(t, e, starling.Options{})
	err := client.Do(starling.SpeakAct("a"), func(starling.Outcome) { client.Close() })
	if err != nil {
		t.Fatal(err)
	}
	<-client.Done()
	if !errors.Is(client.Err(), starling.ErrClosed) {
		t.Error(client.Err())
	}
}

func TestDialFails(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	forbidding := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer forbidding.Close()
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{Subprotocols: []string{"starling.v1.proto"}}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
	}))
	defer mute.Close()
	for name, url := range map[string]string{"nobody listens": gone.URL, "forbidden": forbidding.URL, "no welcome": mute.URL} {
		_, err := starling.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http"), starling.Options{HandshakeTimeout: 50 * time.Millisecond})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_, err := starling.Dial(t.Context(), "ws"+strings.TrimPrefix(mute.URL, "http"), starling.Options{
		Token: func(context.Context) (string, error) { return "", errors.New("no token today") },
	})
	if err == nil || !strings.Contains(err.Error(), "no token today") {
		t.Errorf("no token: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := starling.Dial(ctx, "ws"+strings.TrimPrefix(mute.URL, "http"), starling.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func TestReconnectAfter(t *testing.T) {
	for reason, want := range map[string]time.Duration{
		"reconnect in 1.5s: draining": 1500 * time.Millisecond, "reconnect in 250ms: x": 250 * time.Millisecond, "reconnect in 0s: gone": 0,
		"reconnect in 9999h: x": 10 * time.Minute,
	} {
		if got, named := starling.ReconnectAfter(reason); !named || got != want {
			t.Errorf("%q: %v %v", reason, got, named)
		}
	}
	for _, reason := range []string{"", "draining", "reconnect in : x", "reconnect in -1s: x", "reconnect in soon"} {
		if got, named := starling.ReconnectAfter(reason); named {
			t.Errorf("%q: %v", reason, got)
		}
	}
}

func FuzzReconnectAfter(f *testing.F) {
	f.Add("reconnect in 1.5s: draining")
	f.Add("reconnect in 1e400s")
	f.Fuzz(func(t *testing.T, reason string) {
		if after, named := starling.ReconnectAfter(reason); after < 0 || after > 10*time.Minute || !named && after != 0 {
			t.Error(after)
		}
	})
}
