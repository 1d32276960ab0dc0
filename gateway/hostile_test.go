package gateway

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/auth"
)

// witness checks that another participant is served as before.
func (r *rig) witness() func() {
	c, _ := r.join("witness")
	number := uint64(0)
	return func() {
		r.t.Helper()
		number++
		c.act(move(number, startLatitude, startLongitude))
		if o := c.outcome(number); o.Code != starlingv1.Code_APPLIED {
			r.t.Errorf("the witness got %v", o)
		}
	}
}

func TestHostileFirstMessages(t *testing.T) {
	r := newRig(t, nil)
	check := r.witness()
	forged, _ := auth.Mint(auth.NewKey(), "eve", nil, time.Hour, time.Now())
	hello := func(change func(*starlingv1.Hello)) []byte {
		h := r.hello("eve")
		change(h)
		payload, err := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: h}}).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	act, _ := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: move(1, 1, 1)}}).MarshalVT()
	for name, tc := range map[string]struct {
		payload []byte
		code    starlingv1.CloseCode
	}{
		"garbage":        {[]byte{0xff, 0xff, 0xff}, starlingv1.CloseCode_BAD_MESSAGE},
		"nothing":        {nil, starlingv1.CloseCode_BAD_MESSAGE},
		"act first":      {act, starlingv1.CloseCode_BAD_MESSAGE},
		"giant":          {make([]byte, 20<<10), starlingv1.CloseCode_TOO_LARGE},
		"no token":       {hello(func(h *starlingv1.Hello) { h.Token = "" }), starlingv1.CloseCode_UNAUTHENTICATED},
		"forged token":   {hello(func(h *starlingv1.Hello) { h.Token = forged }), starlingv1.CloseCode_UNAUTHENTICATED},
		"expired token":  {hello(func(h *starlingv1.Hello) { h.Token = r.expired("eve") }), starlingv1.CloseCode_TOKEN_EXPIRED},
		"NaN":            {hello(func(h *starlingv1.Hello) { h.Start = position(math.NaN(), 0) }), starlingv1.CloseCode_BAD_MESSAGE},
		"infinite":       {hello(func(h *starlingv1.Hello) { h.Start = position(0, math.Inf(1)) }), starlingv1.CloseCode_BAD_MESSAGE},
		"not on earth":   {hello(func(h *starlingv1.Hello) { h.Start = position(91, 0) }), starlingv1.CloseCode_BAD_MESSAGE},
		"no start":       {hello(func(h *starlingv1.Hello) { h.Start = nil }), starlingv1.CloseCode_BAD_MESSAGE},
		"no such place":  {hello(func(h *starlingv1.Hello) { h.Place, h.Start = 99, nil }), starlingv1.CloseCode_NOT_ALLOWED},
		"resume nothing": {hello(func(h *starlingv1.Hello) { h.Resume = 12345 }), starlingv1.CloseCode_SESSION_GONE},
		"bad UTF-8":      {hello(func(h *starlingv1.Hello) { h.Client = "\xff" }), starlingv1.CloseCode_BAD_MESSAGE},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(false)
			c.t = t
			if err := c.ws.WriteMessage(websocket.BinaryMessage, tc.payload); err != nil {
				t.Fatal(err)
			}
			code, reason := c.closed()
			if code != tc.code {
				t.Errorf("closed as %v (%q), want %v", code, reason, tc.code)
			}
			if reconnect := strings.HasPrefix(reason, "reconnect in "); reconnect != (code < 4500) {
				t.Errorf("%v with reason %q", code, reason)
			}
		})
		check()
	}
	eventually(t, "only the witness is left", func() bool { return r.gateway.Connections() == 1 })
}

func (r *rig) expired(participant string) string {
	token, err := auth.Mint(r.key, participant, nil, time.Hour, time.Now().Add(-2*time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func TestHostileAfterHello(t *testing.T) {
	r := newRig(t, nil)
	check := r.witness()
	badText, _ := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: speak(1, "\xff\xfe")}}).MarshalVT()
	hello, _ := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: r.hello("eve")}}).MarshalVT()
	for name, tc := range map[string]struct {
		kind    int
		payload []byte
		code    starlingv1.CloseCode
	}{
		"garbage":      {websocket.BinaryMessage, []byte{0x12, 0x05, 1}, starlingv1.CloseCode_BAD_MESSAGE},
		"text":         {websocket.TextMessage, []byte("{}"), starlingv1.CloseCode_BAD_MESSAGE},
		"second hello": {websocket.BinaryMessage, hello, starlingv1.CloseCode_BAD_MESSAGE},
		"bad UTF-8":    {websocket.BinaryMessage, badText, starlingv1.CloseCode_BAD_MESSAGE},
		"giant":        {websocket.BinaryMessage, make([]byte, 1<<20), starlingv1.CloseCode_TOO_LARGE},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := r.join("eve")
			c.t = t
			_ = c.ws.WriteMessage(tc.kind, tc.payload) // the giant is cut off while it is sent
			c.wantClosed(tc.code)
		})
		check()
	}
}

func TestHostileActionsGetOutcomes(t *testing.T) {
	r := newRig(t, nil)
	check := r.witness()
	c, _ := r.join("eve")
	for _, tc := range []struct {
		act  *starlingv1.Act
		code starlingv1.Code
	}{
		{move(1, math.NaN(), math.Inf(-1)), starlingv1.Code_INVALID},
		{&starlingv1.Act{Number: 2}, starlingv1.Code_INVALID},
		{move(7, startLatitude, startLongitude), starlingv1.Code_OUT_OF_ORDER}, // skipped
		{move(1, startLatitude, startLongitude), starlingv1.Code_INVALID},      // replayed
		{move(3, startLatitude, startLongitude), starlingv1.Code_APPLIED},
		{move(3, startLatitude, startLongitude), starlingv1.Code_APPLIED},
	} {
		c.act(tc.act)
		if o := c.outcome(tc.act.Number); o.Code != tc.code {
			t.Errorf("%v got %v, want %v", tc.act, o, tc.code)
		}
	}
	check()
}

func TestFlood(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MessageRate, c.MessageBurst, c.FloodAfter = 1, 10, 50 })
	check := r.witness()
	c, _ := r.join("eve")
	for n := range uint64(100) {
		payload, _ := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: move(n+1, startLatitude, startLongitude)}}).MarshalVT()
		if c.ws.WriteMessage(websocket.BinaryMessage, payload) != nil {
			break
		}
	}
	refused := 0
	for {
		m, err := c.read()
		if err != nil {
			if !websocket.IsCloseError(err, int(starlingv1.CloseCode_FLOOD)) {
				t.Errorf("closed by %v", err)
			}
			break
		}
		if m.GetOutcome().GetCode() == starlingv1.Code_RATE {
			refused++
		}
	}
	if refused < 40 {
		t.Errorf("%d refusals before the close, want about 50", refused)
	}
	check()
}

func TestTooManyInFlight(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxInFlight = 4 })
	c, _ := r.join("ann")
	swallow := make(chan struct{})
	r.owner.intercept(swallowUntil(swallow))
	for n := range uint64(6) {
		c.act(move(n+1, startLatitude, startLongitude))
	}
	for range 2 {
		m := c.until(func(m *starlingv1.ServerMessage) bool { return m.GetOutcome() != nil })
		if m.GetOutcome().Code != starlingv1.Code_RATE {
			t.Errorf("over the limit: %v", m)
		}
	}
	close(swallow)
	for n := range uint64(4) { // asked again after ResendAfter
		if o := c.outcome(n + 1); o.Code != starlingv1.Code_APPLIED {
			t.Errorf("outcome %v", o)
		}
	}
}

func TestSilentPeers(t *testing.T) {
	t.Run("no hello", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(c *Config) { c.HandshakeTime = 300 * time.Millisecond })
		r.dial(false).wantClosed(starlingv1.CloseCode_NO_HELLO)
	})
	t.Run("half open", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(c *Config) { c.PingAfter, c.IdleTime = 500*time.Millisecond, 2*time.Second })
		c, _ := r.join("half")
		// It reads, so the close frame is seen, but answers no ping.
		c.ws.SetPingHandler(func(string) error { return nil })
		c.wantClosed(starlingv1.CloseCode_IDLE)
	})
	t.Run("answers pings", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(c *Config) { c.PingAfter, c.IdleTime = 500*time.Millisecond, 4*time.Second })
		c, _ := r.join("quiet")
		pings := 0
		c.ws.SetPingHandler(func(data string) error {
			if pings++; pings == 5 {
				payload, _ := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Ping{Ping: &starlingv1.Ping{ClientTimeUs: 7}}}).MarshalVT()
				return c.ws.WriteMessage(websocket.BinaryMessage, payload)
			}
			return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
		})
		c.until(func(m *starlingv1.ServerMessage) bool { return m.GetPong().GetClientTimeUs() == 7 })
	})
}

// A handshake that never ends does not reach the gateway; one that is no
// websocket is answered.
func TestHalfHandshakes(t *testing.T) {
	r := newRig(t, nil)
	address := strings.TrimPrefix(r.url, "ws://")
	for range 20 {
		raw, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(raw, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: webso")
		_ = raw.Close()
	}
	if n := r.gateway.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestTokenExpiresDuringConnection(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(false)
	h := r.hello("ann")
	h.Token = r.token("ann", 4*time.Second)
	c.greet(h)
	c.wantClosed(starlingv1.CloseCode_TOKEN_EXPIRED)
}

func TestLimitsOfConnections(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxConnections, c.MaxPerAddress, c.LimitLoopback = 3, 2, true })
	r.join("a")
	r.join("b")
	r.dial(false).wantClosed(starlingv1.CloseCode_ADDRESS_LIMIT)
	r.gateway.limits.mu.Lock()
	r.gateway.limits.loopback = false
	r.gateway.limits.mu.Unlock()
	c, _ := r.join("c")
	r.dial(false).wantClosed(starlingv1.CloseCode_FULL)
	_ = c.ws.Close()
	eventually(t, "the place is free again", func() bool { return r.gateway.Connections() == 2 })
	r.join("d")
}

func TestOrigins(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Origins = []string{"https://play.example.org"} })
	for origin, good := range map[string]bool{"": true, "https://play.example.org": true, "https://evil.example.org": false, "http://play.example.org": false} {
		header := map[string][]string{}
		if origin != "" {
			header["Origin"] = []string{origin}
		}
		dialer := websocket.Dialer{Subprotocols: []string{"starling.v1.proto"}}
		ws, _, err := dialer.Dial(r.url, header)
		if (err == nil) != good {
			t.Errorf("origin %q: %v", origin, err)
		}
		if ws != nil {
			_ = ws.Close()
		}
	}
}

// FuzzDecode: whatever a client sends, decoding either refuses it or yields
// something that can be encoded again.
func FuzzDecode(f *testing.F) {
	for _, m := range []*starlingv1.ClientMessage{
		{Kind: &starlingv1.ClientMessage_Act{Act: move(1, 25, 121)}},
		{Kind: &starlingv1.ClientMessage_Act{Act: speak(2, "hello")}},
		{Kind: &starlingv1.ClientMessage_Hello{Hello: &starlingv1.Hello{Token: "t", Attributes: &starlingv1.Attributes{
			Values: map[string]*starlingv1.Value{"name": {Is: &starlingv1.Value_Text{Text: "Ann"}}}}}}},
		{Kind: &starlingv1.ClientMessage_Ping{Ping: &starlingv1.Ping{ClientTimeUs: 3}}},
		{Kind: &starlingv1.ClientMessage_Interest{Interest: &starlingv1.Interest{Ring: 9}}},
	} {
		payload, _ := m.MarshalVT()
		f.Add(payload, false)
	}
	f.Add([]byte(`{"act":{"number":"1","move":{"pose":{"position":{"geo":{"latitude":"NaN"}}}}}}`), true)
	f.Add([]byte(`{"hello":{"token":"x","unknown":1}}`), true)
	f.Add(binary.AppendUvarint([]byte{0x12}, 1<<40), false)
	f.Fuzz(func(t *testing.T, payload []byte, json bool) {
		in, err := decode(payload, json)
		if err != nil {
			return
		}
		if in.act == nil && in.message == nil {
			t.Fatal("neither an action nor a message")
		}
		if in.act != nil {
			again := &starlingv1.Act{}
			if err := again.UnmarshalVT(in.raw); err != nil {
				t.Fatalf("raw of %v: %v", in.act, err)
			}
			if again.Number != in.act.Number || !validText(again) {
				t.Fatalf("raw %v, act %v", again, in.act)
			}
		}
		if h := in.message.GetHello(); h != nil {
			_ = checkStart(h)
		}
	})
}
