package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/server"
)

// witnessed runs attack while another participant, in the same cell, acts all
// the time: each of its actions must be applied. Afterwards there are as many
// goroutines as before.
func witnessed(t *testing.T, s *server.Server, attack func()) {
	t.Helper()
	witness := join(t, s, "witness", onMap())
	witness.must(moveTo(centre.east(1).position()))
	settled := settledGoroutines(t)
	stop := make(chan struct{})
	failures := make(chan error, 1)
	var running sync.WaitGroup
	acted := 0
	began := make(chan struct{}) // some attacks are over soon
	running.Go(func() {
		begin := sync.OnceFunc(func() { close(began) })
		defer begin()
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			acted++
			if _, err := witness.try(moveTo(centre.east(float64(acted % 10)).position())); err != nil {
				failures <- fmt.Errorf("action %d of the witness: %w", acted, err)
				return
			}
			begin()
		}
	})
	attack()
	<-began
	close(stop)
	running.Wait()
	select {
	case err := <-failures:
		t.Error(err)
	default:
	}
	if witness.Stats().Connections != 1 || acted == 0 {
		t.Errorf("the witness acted %d times over %d connections", acted, witness.Stats().Connections)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
		}
	})
	eventually(t, fmt.Sprintf("only the %d goroutines from before", settled), func() bool { return goroutines() <= settled })
}

// goroutines counts them, without those that belong to a shard in memory: one
// may have been loaded.
func goroutines() (n int) {
	text := make([]byte, 4<<20)
	text = text[:runtime.Stack(text, true)]
	for one := range strings.SplitSeq(string(text), "\n\n") {
		if !strings.Contains(one, "actions.(*served)") {
			n++
		}
	}
	return n
}

// settledGoroutines counts goroutines once their number stands still.
func settledGoroutines(t *testing.T) (n int) {
	t.Helper()
	since := time.Now()
	eventually(t, "the goroutines to settle", func() bool {
		if now := goroutines(); now != n {
			n, since = now, time.Now()
		}
		return time.Since(since) > 200*time.Millisecond
	})
	return n
}

// raw is a websocket whose every byte is ours.
type raw struct {
	t  *testing.T
	ws *websocket.Conn
}

func open(t *testing.T, s *server.Server) *raw {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"starling.v1.proto"}, HandshakeTimeout: patience}
	ws, _, err := dialer.Dial(endpoint(s), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	return &raw{t, ws}
}

func (r *raw) close() { _ = r.ws.Close() }

func (r *raw) bytes(payload []byte) error { return r.ws.WriteMessage(websocket.BinaryMessage, payload) }

func (r *raw) send(m *starlingv1.ClientMessage) error {
	payload, err := m.MarshalVT()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.bytes(payload)
}

func (r *raw) hello(h *starlingv1.Hello) error {
	return r.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: h}})
}

func (r *raw) act(a *starlingv1.Act) error {
	return r.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: a}})
}

func (r *raw) next() (*starlingv1.ServerMessage, error) {
	_, payload, err := r.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	m := &starlingv1.ServerMessage{}
	return m, m.UnmarshalVT(payload)
}

// welcome says a good Hello and waits for the answer.
func (r *raw) welcome(name string) {
	r.t.Helper()
	if err := r.hello(&starlingv1.Hello{Token: token(r.t, name), Ring: 1, Start: centre.position()}); err != nil {
		r.t.Fatal(err)
	}
	for {
		m, err := r.next()
		if err != nil {
			r.t.Fatal(err)
		}
		if m.GetWelcome() != nil {
			return
		}
	}
}

func (r *raw) outcome() *starlingv1.Outcome {
	r.t.Helper()
	for {
		m, err := r.next()
		if err != nil {
			r.t.Fatal(err)
		}
		if o := m.GetOutcome(); o != nil {
			return o
		}
	}
}

// closed reads to the end and wants one of the codes.
func (r *raw) closed(want ...starlingv1.CloseCode) {
	r.t.Helper()
	for {
		_, err := r.next()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) {
			r.t.Errorf("ended by %v, want %v", err, want)
			return
		}
		for _, code := range want {
			if closed.Code == int(code) {
				return
			}
		}
		r.t.Errorf("closed as %d %q, want %v", closed.Code, closed.Text, want)
		return
	}
}

func goodHello(t *testing.T) *starlingv1.Hello {
	return &starlingv1.Hello{Token: token(t, "eve"), Start: centre.position()}
}

func TestHostileTokens(t *testing.T) {
	s := start(t)
	now := time.Now()
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "eve", "exp": now.Add(time.Hour).Unix()}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	good := token(t, "eve")
	parts := strings.Split(good, ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"sub":"admin","exp":%d}`, now.Add(time.Hour).Unix())))
	sign := func(method jwt.SigningMethod, claims jwt.MapClaims, secret string) string {
		text, err := jwt.NewWithClaims(method, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	expired, err := auth.Mint([]byte(key), "eve", nil, time.Hour, now.Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	in := now.Add(time.Hour).Unix()
	witnessed(t, s, func() {
		for name, tc := range map[string]struct {
			token string
			code  starlingv1.CloseCode
		}{
			"none at all":       {"", starlingv1.CloseCode_UNAUTHENTICATED},
			"alg none":          {none, starlingv1.CloseCode_UNAUTHENTICATED},
			"another key":       {sign(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "eve", "exp": in}, "another key of thirty-two bytes!!"), starlingv1.CloseCode_UNAUTHENTICATED},
			"another method":    {sign(jwt.SigningMethodHS512, jwt.MapClaims{"sub": "eve", "exp": in}, key), starlingv1.CloseCode_UNAUTHENTICATED},
			"another's claims":  {parts[0] + "." + other + "." + parts[2], starlingv1.CloseCode_UNAUTHENTICATED},
			"no signature":      {parts[0] + "." + parts[1] + ".", starlingv1.CloseCode_UNAUTHENTICATED},
			"no expiry":         {sign(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "eve"}, key), starlingv1.CloseCode_UNAUTHENTICATED},
			"nobody":            {sign(jwt.SigningMethodHS256, jwt.MapClaims{"exp": in}, key), starlingv1.CloseCode_UNAUTHENTICATED},
			"sub of a kilobyte": {sign(jwt.SigningMethodHS256, jwt.MapClaims{"sub": strings.Repeat("e", 1024), "exp": in}, key), starlingv1.CloseCode_UNAUTHENTICATED},
			"not yet":           {sign(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "eve", "exp": in, "nbf": in}, key), starlingv1.CloseCode_UNAUTHENTICATED},
			"expired":           {expired, starlingv1.CloseCode_TOKEN_EXPIRED},
			"noise":             {strings.Repeat("A.", 3000), starlingv1.CloseCode_UNAUTHENTICATED},
		} {
			t.Run(name, func(t *testing.T) {
				r := open(t, s)
				defer r.close()
				h := goodHello(t)
				h.Token = tc.token
				if err := r.hello(h); err != nil {
					t.Fatal(err)
				}
				r.closed(tc.code)
			})
		}
	})
}

var strange = map[string]float64{
	"NaN": math.NaN(), "infinite": math.Inf(1), "minus infinite": math.Inf(-1), "giant": math.MaxFloat64, "minus giant": -math.MaxFloat64,
	"a little too far": 180.0001, "negative": -91e3,
}

func TestHostileStarts(t *testing.T) {
	s := start(t)
	host := join(t, s, "host", onMap(), "place:create")
	place := host.must(createPlace(arena(100, ""))).Entity
	witnessed(t, s, func() {
		for name, v := range strange {
			f := float32(v)
			for field, h := range map[string]*starlingv1.Hello{
				"latitude":  {Start: starling.Geographic(v, 121, 0)},
				"longitude": {Start: starling.Geographic(25, v, 0)},
				"altitude":  {Start: starling.Geographic(25, 121, f*1e6)},
				"east":      {Place: place, Start: starling.LocalPosition(f, 0, 0)},
				"north":     {Place: place, Start: starling.LocalPosition(0, f, 0)},
				"up":        {Place: place, Start: starling.LocalPosition(0, 0, f)},
			} {
				t.Run(field+" "+name, func(t *testing.T) {
					r := open(t, s)
					defer r.close()
					h.Token = token(t, "eve")
					if err := r.hello(h); err != nil {
						t.Fatal(err)
					}
					r.closed(starlingv1.CloseCode_BAD_MESSAGE, starlingv1.CloseCode_NOT_ALLOWED)
				})
			}
		}
	})
}

// Every number of every action, out of range; another's entities; numbers that
// were used or left out. Each gets an outcome, and nothing moves.
func TestHostileActions(t *testing.T) {
	s := start(t, "gateway.message_rate=10000", "gateway.message_burst=10000")
	owner := join(t, s, "owner", onMap(), "spawn:any", "place:create")
	thing := owner.must(spawn("thing", centre.position())).Entity
	place := owner.must(createPlace(arena(5, ""))).Entity
	witnessed(t, s, func() {
		eve := open(t, s)
		defer eve.close()
		eve.welcome("eve")
		number := uint64(0)
		refused := func(what string, act *starlingv1.Act, codes ...starlingv1.Code) {
			t.Helper()
			number++
			act.Number = number
			if err := eve.act(act); err != nil {
				t.Fatal(err)
			}
			o := eve.outcome()
			for _, code := range codes {
				if o.Code == code && o.Number == number {
					return
				}
			}
			t.Errorf("%s: %v, want %v", what, o, codes)
		}
		for name, v := range strange {
			f := float32(v)
			at := centre.position()
			for field, pose := range map[string]*starlingv1.Pose{
				"latitude":    {Position: starling.Geographic(v, 121, 0)},
				"longitude":   {Position: starling.Geographic(25, v, 0)},
				"altitude":    {Position: starling.Geographic(centre.latitude, centre.longitude, f*1e6)},
				"local":       {Position: starling.LocalPosition(f, f, f)},
				"velocity":    {Position: at, Velocity: &starlingv1.Vector{East: f * 1e6}},
				"orientation": {Position: at, Orientation: &starlingv1.Orientation{X: f, W: 1}},
			} {
				act := starling.MoveAct(&starlingv1.Move{Pose: pose})
				refused(field+" "+name, act, starlingv1.Code_INVALID, starlingv1.Code_TOO_FAST)
				act = starling.MoveAct(&starlingv1.Move{Pose: pose, Relocate: true})
				refused("relocate "+field+" "+name, act, starlingv1.Code_INVALID, starlingv1.Code_TOO_FAST, starlingv1.Code_RELOCATE_TOO_SOON)
			}
			refused("drop "+name, &starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{
				Entity: thing, Position: starling.Geographic(v, v, f)}}}, starlingv1.Code_NOT_HOLDER)
			refused("spawn "+name, spawn("x", starling.Geographic(v, v, f)), starlingv1.Code_FORBIDDEN, starlingv1.Code_INVALID)
			broken := arena(1, "")
			broken.Extent = f
			refused("place "+name, createPlace(broken), starlingv1.Code_FORBIDDEN, starlingv1.Code_INVALID)
		}
		avatar := owner.Session().Avatar
		for what, id := range map[string]uint64{"another's thing": thing, "another's avatar": avatar, "nothing": 12345} {
			target := &starlingv1.Target{Entity: id, Cell: owner.Target(thing).Cell}
			none := starlingv1.Code_NO_SUCH_ENTITY
			refused("move "+what, starling.MoveAct(&starlingv1.Move{Entity: id, Pose: &starlingv1.Pose{Position: centre.position()}}), starlingv1.Code_FORBIDDEN)
			refused("despawn "+what, &starlingv1.Act{Function: &starlingv1.Act_Despawn{Despawn: &starlingv1.Despawn{Target: target}}}, starlingv1.Code_FORBIDDEN, none)
			refused("set "+what, &starlingv1.Act{Function: &starlingv1.Act_SetAttribute{SetAttribute: &starlingv1.SetAttribute{
				Target: target, Name: "name", Value: &starlingv1.Value{Is: &starlingv1.Value_Flag{Flag: true}}}}}, starlingv1.Code_FORBIDDEN, none)
			refused("drop "+what, &starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: id}}}, starlingv1.Code_NOT_HOLDER)
		}
		refused("grab an avatar", &starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: owner.Target(avatar)}}}, starlingv1.Code_FORBIDDEN)
		refused("a cell that is none", &starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{
			Target: &starlingv1.Target{Entity: 12345, Cell: math.MaxUint64}}}}, starlingv1.Code_NO_SUCH_ENTITY, starlingv1.Code_INVALID)
		refused("a shard of the register", &starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{
			Target: &starlingv1.Target{Entity: 12345, Cell: 3}}}}, starlingv1.Code_NO_SUCH_ENTITY, starlingv1.Code_INVALID)
		refused("close another's place", closePlace(place), starlingv1.Code_FORBIDDEN)
		refused("close no place", closePlace(99), starlingv1.Code_NO_SUCH_PLACE)
		refused("no function", &starlingv1.Act{}, starlingv1.Code_INVALID)
		refused("unknown function", &starlingv1.Act{Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: "x"}}}, starlingv1.Code_UNKNOWN_FUNCTION)
		refused("giant text", starling.SpeakAct(strings.Repeat("x", 5000)), starlingv1.Code_INVALID)
		refused("giant voice", starling.VoiceAct(make([]byte, 5000)), starlingv1.Code_INVALID)
		refused("nothing said", starling.SpeakAct(""), starlingv1.Code_INVALID)
		hostileNumbers(t, eve, number)
	})
	for _, id := range []uint64{thing, owner.Session().Avatar} {
		if e, ok := owner.Entity(id); !ok || !isAt(e, centre) || e.Attributes.GetValues()["name"] != nil {
			t.Errorf("%+v", e)
		}
	}
}

func hostileNumbers(t *testing.T, eve *raw, last uint64) {
	t.Helper()
	for _, tc := range []struct {
		number uint64
		code   starlingv1.Code
	}{
		{last + 2, starlingv1.Code_OUT_OF_ORDER}, {math.MaxUint64, starlingv1.Code_OUT_OF_ORDER}, {0, starlingv1.Code_INVALID},
		{1, starlingv1.Code_INVALID}, {last, starlingv1.Code_INVALID}, // what it got before
		{last + 1, starlingv1.Code_APPLIED}, {last + 1, starlingv1.Code_APPLIED},
	} {
		act := moveTo(centre.east(2).position())
		act.Number = tc.number
		if err := eve.act(act); err != nil {
			t.Fatal(err)
		}
		if o := eve.outcome(); o.Code != tc.code || o.Number != tc.number {
			t.Errorf("number %d after %d: %v, want %v", tc.number, last, o, tc.code)
		}
	}
}

func TestHostileBytes(t *testing.T) {
	s := start(t)
	witnessed(t, s, func() {
		for name, tc := range map[string]struct {
			bytes []byte
			code  starlingv1.CloseCode
		}{
			"garbage":        {[]byte("\xde\xad\xbe\xef and more"), starlingv1.CloseCode_BAD_MESSAGE},
			"nothing":        {nil, starlingv1.CloseCode_BAD_MESSAGE},
			"giant":          {make([]byte, 64<<10), starlingv1.CloseCode_TOO_LARGE},
			"length of 2^60": {[]byte{0x12, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10}, starlingv1.CloseCode_BAD_MESSAGE},
			"no UTF-8":       {[]byte("\x12\x08\x08\x01\x1a\x04\x0a\x02\xff\xfe"), starlingv1.CloseCode_BAD_MESSAGE},
		} {
			for _, welcomed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, welcomed %v", name, welcomed), func(t *testing.T) {
					r := open(t, s)
					defer r.close()
					if welcomed {
						r.welcome("eve")
					}
					_ = r.bytes(tc.bytes) // the giant is cut off on its way
					r.closed(tc.code)
				})
			}
		}
		t.Run("frames of no websocket", func(t *testing.T) {
			for _, frame := range []string{
				"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x82\x05hello", // unmasked
				"\x83\x80\x00\x00\x00\x00",                 // an opcode of nobody
				"\x89\xfe\x01\x00\x00\x00\x00\x00",         // a ping of 256 bytes
				"\x02\x80\x00\x00\x00\x00\x82\x80\x00\x00", // a message within one
				"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", // of 2^64-1 bytes
			} {
				r := open(t, s)
				_, _ = r.ws.NetConn().Write([]byte(frame))
				r.closed(starlingv1.CloseCode_BAD_MESSAGE, starlingv1.CloseCode_TOO_LARGE)
				r.close()
			}
		})
		t.Run("flood", func(t *testing.T) {
			r := open(t, s)
			defer r.close()
			r.welcome("eve")
			for n := uint64(1); n < 20_000; n++ {
				act := starling.SpeakAct("me me me")
				act.Number = n
				if r.act(act) != nil {
					break
				}
			}
			r.closed(starlingv1.CloseCode_FLOOD)
		})
	})
}

// Connections that say nothing, say it slowly, or vanish half-way.
func TestHostileSilence(t *testing.T) {
	s := start(t, "gateway.handshake_time=4s", "gateway.ping_after=1s", "gateway.idle_time=6s") // the witness lives by them, too
	witnessed(t, s, func() {
		var all []net.Conn
		for i := range 200 {
			c, err := net.Dial("tcp", s.Address())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			_, _ = fmt.Fprint(c, []string{"", "GET /v1/ws HT", "GET /v1/ws HTTP/1.1\r\nHost: x\r\nX-Slow: "}[i%3])
		}
		quiet, half := open(t, s), open(t, s)
		half.ws.SetPingHandler(func(string) error { return nil }) // hears, answers nothing
		half.welcome("eve")
		quiet.closed(starlingv1.CloseCode_NO_HELLO)
		quiet.close()
		half.closed(starlingv1.CloseCode_IDLE)
		half.close()
		for i := range 50 { // part of a message, and no more
			r := open(t, s)
			if i%2 == 0 {
				r.welcome(fmt.Sprint("eve ", i))
			}
			_, _ = r.ws.NetConn().Write([]byte("\x82\xfe\x01\x00\x00\x00\x00\x00some"))
			all = append(all, r.ws.NetConn())
		}
		for i, c := range all {
			if i%2 == 0 {
				_ = c.(*net.TCPConn).SetLinger(0) // a reset
			}
			_ = c.Close()
		}
	})
}

// Thousands of connections, opened and dropped at every stage.
func TestHostileChurn(t *testing.T) {
	s := start(t)
	const each, workers = 250, 8
	witnessed(t, s, func() {
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for i := range each {
					r := open(t, s)
					switch i % 4 {
					case 1:
						_ = r.hello(goodHello(t))
					case 2:
						h := goodHello(t)
						h.Token = token(t, fmt.Sprint("eve ", w))
						_ = r.hello(h)
						_, _ = r.next()
					case 3:
						r.welcome(fmt.Sprint("eve ", w))
						act := moveTo(centre.east(5).position())
						act.Number = 1
						_ = r.act(act)
					}
					r.close()
				}
			})
		}
		all.Wait()
	})
}
