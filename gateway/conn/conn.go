// Package conn keeps the websockets of the edge: it accepts them, brings what
// they say, and writes to them without ever waiting.
//
// There are two ways behind one interface: reads are pushed to a Receiver, writes
// return what did not fit, and a full socket says so when it drains. Gorilla's
// websocket library upgrades for both. On Linux, plain TCP connections are then
// taken from net and net/http: pollers read many of them with each wake-up, and
// an idle one keeps neither a goroutine nor a buffer. Elsewhere, and with TLS,
// gorilla reads, with a goroutine for each connection. What goes out are
// websocket frames that the caller encoded itself (AppendHeader), shared between
// connections and gathered by one system call.
package conn

import (
	"errors"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Subprotocols that the edge speaks.
const (
	ProtoSubprotocol = "starling.v1.proto"
	JSONSubprotocol  = "starling.v1.json"
)

// Conn is one websocket. All methods may be called from any goroutine and
// return at once.
type Conn interface {
	// Write hands over complete websocket frames. The first accepted of them
	// are written or will be: what the socket took only in part is kept and
	// finished. The others were not looked at: the socket is full, and
	// Receiver.Writable follows once it has drained. frames and what it points
	// to may be used again after the return.
	Write(frames [][]byte) (accepted int)
	// Ping sends a websocket ping unless the socket is full.
	Ping()
	// Close sends a close frame with code and reason if the socket takes it,
	// and ends the connection within CloseWait. Only the first call counts.
	Close(code starlingv1.CloseCode, reason string)
	// LastRead is when bytes last came in: to this machine, where the system
	// says so, however long they were not read.
	LastRead() time.Time
	// LastProgress is when the socket last took bytes.
	LastProgress() time.Time
	// JSON says whether the subprotocol is JSONSubprotocol.
	JSON() bool
}

// Receiver is told what happens on a connection. Calls for one connection
// never overlap, except Writable, which may come at any time. They must not
// block.
type Receiver interface {
	// Messages brings what was read with one wake-up. The payloads are valid
	// until the return.
	Messages(c Conn, payloads [][]byte)
	// Writable says that a full socket drained.
	Writable(c Conn)
	// Closed comes last, once. err says why the connection ended.
	Closed(c Conn, err error)
}

// Errors that Receiver.Closed may bring, besides those of the network and
// *websocket.CloseError.
var (
	ErrTooLarge    = errors.New("message over the size limit")
	ErrWrongOpcode = errors.New("text on the binary subprotocol, or binary on the text one")
	ErrNotText     = errors.New("text that is not UTF-8")
	ErrProtocol    = errors.New("not a websocket frame of a client")
)
