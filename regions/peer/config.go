package peer

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/creasty/defaults"
	"google.golang.org/grpc/credentials"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// Config holds the settings of the streams between processes.
type Config struct {
	QueueBytes  int           `toml:"queue_bytes" default:"8388608" doc:"Encoded bytes that may wait for one peer's stream. What comes beyond is refused to its sender."`
	QueueAge    time.Duration `toml:"queue_age" default:"1s" doc:"While something has waited so long for a peer's stream, more is refused."`
	FrameBytes  int           `toml:"frame_bytes" default:"65536" doc:"A frame that has reached this size is closed. Larger frames cost less per action and delay what comes behind them."`
	Heartbeat   time.Duration `toml:"heartbeat" default:"500ms" doc:"An idle stream carries an empty frame so often."`
	Silence     time.Duration `toml:"silence" default:"2s" doc:"A stream that brought nothing, or took nothing, for so long is cut and opened again. At least three heartbeats."`
	ConnectTime time.Duration `toml:"connect_time" default:"2s" doc:"How long opening a connection may take."`
	BackoffMin  time.Duration `toml:"backoff_min" default:"50ms" doc:"Wait before the first attempt to connect again; it doubles up to backoff_max, and half of it is random."`
	BackoffMax  time.Duration `toml:"backoff_max" default:"1s" doc:"Longest wait between attempts to connect."`
}

// DefaultConfig gives the defaults that the tags name.
func DefaultConfig() (c Config) {
	defaults.MustSet(&c)
	return c
}

// Check says what is wrong with the settings.
func (c Config) Check() error {
	switch {
	case c.FrameBytes < 1024 || c.FrameBytes > maxFrameBytes/4:
		return fmt.Errorf("peer: frame_bytes %d: want 1024..%d", c.FrameBytes, maxFrameBytes/4)
	case c.QueueBytes < c.FrameBytes:
		return fmt.Errorf("peer: queue_bytes %d: want at least frame_bytes (%d)", c.QueueBytes, c.FrameBytes)
	case c.Heartbeat <= 0 || c.Silence < 3*c.Heartbeat:
		return fmt.Errorf("peer: silence %v with heartbeat %v: want at least three heartbeats", c.Silence, c.Heartbeat)
	case c.QueueAge <= 0 || c.ConnectTime <= 0:
		return errors.New("peer: queue_age and connect_time must be above 0")
	case c.BackoffMin <= 0 || c.BackoffMax < c.BackoffMin:
		return fmt.Errorf("peer: backoff from %v to %v: want 0 < min <= max", c.BackoffMin, c.BackoffMax)
	}
	return nil
}

// maxFrameBytes bounds what is read as one frame. A frame can be longer than
// Config.FrameBytes by one envelope.
const maxFrameBytes = 32 << 20

// Options is what a Mesh needs.
type Options struct {
	Config
	Hello   *clusterv1.PeerHello             // who this process is
	Handler Handler                          // takes what comes
	Dial    credentials.TransportCredentials // nil: no TLS
	Log     *slog.Logger
	Metrics *Metrics // nil: none
}

// Handler takes what comes from the peers. The calls for one link come from one
// goroutine at a time: Up, then Receive and FrameEnd, then Down, and so on.
// They must not block.
type Handler interface {
	// Up: a stream is open; Send works. Everything sent and received before the
	// last Down may or may not have arrived.
	Up(*Link)
	// Receive takes one envelope. payload is the encoded message of the kind
	// and is not the handler's after the return. waited is how long it waited
	// at the sender since its age was written. Unknown kinds are to be ignored.
	// An error cuts the stream.
	Receive(l *Link, kind Kind, payload []byte, waited time.Duration) error
	// FrameEnd: no further envelope shares this frame.
	FrameEnd(*Link)
	// Down: the stream is gone.
	Down(l *Link, why error)
}
