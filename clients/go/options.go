package starling

import (
	"context"
	"log/slog"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Options say who connects, what is watched and what the application wants to
// hear. The zero value of a field is its default.
type Options struct {
	// Token gives the JWT of the participant; it is called for every
	// connection, so that an expired one is renewed. nil sends none.
	Token func(ctx context.Context) (string, error)

	// URL gives the endpoint of the next connection, for applications that know
	// several gateways; it is called for every connection. nil: Dial's.
	URL func() string

	Name       string                 // name and version of the application, for operators
	Ring       uint32                 // rings of cells watched around one's own, 0..3
	Start      *starlingv1.Position   // where a new session's avatar appears
	Place      uint64                 // the place to join; 0: the map
	Attributes *starlingv1.Attributes // of the avatar
	Budget     *starlingv1.Budget     // at most so much of crowds; nil: what the gateway grants

	JSON   bool              // subprotocol starling.v1.json instead of starling.v1.proto
	Dialer *websocket.Dialer // default: websocket.DefaultDialer's settings
	Header map[string]string // of the upgrade request, e.g. Origin
	Logger *slog.Logger      // default: discards

	// Queue is how many actions may wait beyond those that the session takes
	// unanswered (Welcome.max_in_flight). Default 64; negative: none.
	Queue int

	Reconnect Backoff

	// HandshakeTimeout bounds one attempt to connect, up to the Welcome.
	// Default 10 s.
	HandshakeTimeout time.Duration
	// PingInterval is the time between pings once the clock is known.
	// Default 5 s. A connection that brings nothing for three intervals is cut
	// and resumed.
	PingInterval time.Duration
	// InterpolationDelay is how far behind the present PoseOf shows others:
	// more than the usual time between two updates makes them move smoothly.
	// Default 100 ms.
	InterpolationDelay time.Duration

	// NoView leaves frames undecoded into a view: for applications (such as
	// load generators) that take them through OnFrame.
	NoView bool

	// Callbacks. What they are given is theirs to keep but not to change.

	// OnSession tells of each Welcome. Resumed false after the first one means
	// that the earlier session is gone, with its avatar.
	OnSession func(Session)
	// OnDisconnect tells that a welcomed connection ended and another is going
	// to be tried; err is a *CloseError if the gateway gave a code.
	OnDisconnect func(err error)
	// OnEvent tells what was said and done in the cells around, once each.
	OnEvent func(cell uint64, event *starlingv1.Event)
	// OnMissed tells that this connection was too slow for so many events.
	OnMissed func(cell uint64, events uint32)
	// OnChange tells that an entity appeared in the view, changed, or vanished.
	OnChange func(Change)
	// OnNotice tells what no action asked for.
	OnNotice func(*starlingv1.Notice)
	// OnFrame is given every frame as it came, before the view takes it.
	OnFrame func(frame *starlingv1.CellFrame, received time.Time)
	// OnSend is told of every action that goes to the wire, each time.
	OnSend func(act *starlingv1.Act, session uint64)
	// OnOutcome is given every outcome as it came, repeated and retryable ones
	// too.
	OnOutcome func(outcome *starlingv1.Outcome, session uint64)
}

// Backoff says how long to wait before trying to connect again when the gateway
// named no time: First after the first failure, doubling up to Most, less a
// random part of up to a half.
type Backoff struct {
	First time.Duration // default 200 ms
	Most  time.Duration // default 10 s
}

// Session is what a Welcome says.
type Session struct {
	ID         uint64
	Avatar     uint64 // the participant's own entity
	NextNumber uint64
	Resumed    bool // false: a new session, with a new avatar
	Place      uint64
	PlaceInfo  *starlingv1.Place // set when Place is
	Pose       *starlingv1.Pose  // where the avatar is
	Ring       uint32            // as granted
	Deadline   time.Duration     // D: the time from an action to its update
	ResumeTime time.Duration     // how long the session outlives a connection
	Gateway    string
	Version    string             // of the server
	Resolution int                // H3 resolution of cells
	InFlight   int                // actions that may be unanswered
	Budget     *starlingv1.Budget // of deliveries, as granted
}

// StaticToken is a token that does not change.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// Geographic is a position on the map: degrees, and metres above the ellipsoid.
func Geographic(latitude, longitude float64, altitude float32) *starlingv1.Position {
	return &starlingv1.Position{In: &starlingv1.Position_Geo{
		Geo: &starlingv1.Geo{Latitude: latitude, Longitude: longitude, Altitude: altitude},
	}}
}

// LocalPosition is a position inside a place: metres of its anchor.
func LocalPosition(east, north, up float32) *starlingv1.Position {
	return &starlingv1.Position{In: &starlingv1.Position_Local{
		Local: &starlingv1.Local{East: east, North: north, Up: up},
	}}
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, unset time.Duration) {
		if *d <= 0 {
			*d = unset
		}
	}
	set(&o.Reconnect.First, 200*time.Millisecond)
	set(&o.Reconnect.Most, 10*time.Second)
	set(&o.HandshakeTimeout, 10*time.Second)
	set(&o.PingInterval, 5*time.Second)
	set(&o.InterpolationDelay, 100*time.Millisecond)
	switch {
	case o.Queue == 0:
		o.Queue = 64
	case o.Queue < 0:
		o.Queue = 0
	}
	if o.Name == "" {
		o.Name = "starling-go"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
