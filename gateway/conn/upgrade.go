package conn

import (
	"bufio"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Options of an Upgrader. A zero field takes the default that is named.
type Options struct {
	MaxMessage   int64                      // bytes of a message from a client, default 16 KiB
	ReadBuffer   int                        // bytes, above 256, default 288: a few actions; the rest of a larger message is read past it
	SocketBuffer int                        // bytes that the kernel keeps unsent per connection, default 256 KiB
	CloseWait    time.Duration              // for the peer's answer to a close frame, default 1 s
	CheckOrigin  func(r *http.Request) bool // nil: same host only
	Portable     bool                       // a reading goroutine for each connection, also where pollers could read
	Pollers      int                        // goroutines that read for all connections, default one for each four of GOMAXPROCS
}

func (o Options) withDefaults() Options {
	if o.MaxMessage <= 0 {
		o.MaxMessage = 16 << 10
	}
	if o.ReadBuffer <= 256 {
		o.ReadBuffer = 288
	}
	if o.SocketBuffer <= 0 {
		o.SocketBuffer = 256 << 10
	}
	if o.CloseWait <= 0 {
		o.CloseWait = time.Second
	}
	if o.Pollers <= 0 {
		o.Pollers = (runtime.GOMAXPROCS(0) + 3) / 4
	}
	return o
}

// Upgrader accepts websockets over gorilla/websocket.
type Upgrader struct {
	options  Options
	upgrader websocket.Upgrader
	pollers  *pollers // nil: Options.Portable
}

// NewUpgrader makes an Upgrader. Close ends it. An error is the system's: it
// gave no descriptor.
func NewUpgrader(options Options) (*Upgrader, error) {
	options = options.withDefaults()
	u := &Upgrader{options: options, upgrader: websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		ReadBufferSize:   0, // the one of hijack
		WriteBufferPool:  &sync.Pool{},
		WriteBufferSize:  512, // for the handshake alone
		Subprotocols:     []string{ProtoSubprotocol, JSONSubprotocol},
		CheckOrigin:      options.CheckOrigin,
	}}
	if !options.Portable {
		var err error
		if u.pollers, err = newPollers(&u.options); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// WakeUps is how often pollers found something to read or to write on.
func (u *Upgrader) WakeUps() uint64 {
	if u.pollers == nil {
		return 0
	}
	return u.pollers.wakeUps()
}

// Rest says that sockets need wake no poller from now on, since Collect will be
// called again soon; or, with false, that they must. What is ready waits until then.
// Connections with a reading goroutine are not concerned.
func (u *Upgrader) Rest(on bool) {
	if u.pollers != nil {
		u.pollers.rest(on)
	}
}

// Collect serves what the sockets of pollers brought until now, on the caller's
// goroutine: their Receivers were told when it returns.
func (u *Upgrader) Collect() {
	if u.pollers != nil {
		u.pollers.collect()
	}
}

// Close cuts off the connections that pollers read and waits until their
// receivers know; the other ones live on until they are closed. Connections that
// come later end at once.
func (u *Upgrader) Close() {
	if u.pollers != nil {
		u.pollers.close()
	}
}

// Upgrade accepts a websocket and starts to read: receiver hears of it from now
// on. The handler that calls it should return at once, so that its frame is not
// kept alive. On an error the request was answered with an HTTP status, or its
// connection is gone, and receiver was not called.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, receiver func(Conn) Receiver) (Conn, error) {
	if !offersSubprotocol(r) {
		const message = "websocket subprotocol needed: " + ProtoSubprotocol + " or " + JSONSubprotocol
		http.Error(w, message, http.StatusBadRequest)
		return nil, &SubprotocolError{Offered: websocket.Subprotocols(r)}
	}
	capture := &hijack{ResponseWriter: w, readBuffer: u.options.ReadBuffer}
	ws, err := u.upgrader.Upgrade(capture, r, nil)
	if err != nil {
		return nil, err
	}
	c, err := u.open(ws, capture.transport)
	if err != nil {
		return nil, err
	}
	c.begin(receiver(c))
	return c, nil
}

// opened is a Conn that waits for its receiver.
type opened interface {
	Conn
	// begin brings the receiver: from now on the socket takes frames.
	begin(Receiver)
}

func (u *Upgrader) open(ws *websocket.Conn, t *transport) (opened, error) {
	if u.pollers != nil {
		c, err := u.pollers.adopt(t.Conn, ws.Subprotocol() == JSONSubprotocol)
		if c != nil || err != nil {
			return c, err
		}
	}
	ws.SetReadLimit(u.options.MaxMessage)
	return newSocket(ws, t, &u.options), nil
}

// SubprotocolError says that a client offered none of our subprotocols.
type SubprotocolError struct{ Offered []string }

func (e *SubprotocolError) Error() string { return "no subprotocol of ours was offered" }

func offersSubprotocol(r *http.Request) bool {
	if !websocket.IsWebSocketUpgrade(r) {
		return true // the upgrader answers better
	}
	for _, name := range websocket.Subprotocols(r) {
		if name == ProtoSubprotocol || name == JSONSubprotocol {
			return true
		}
	}
	return false
}

// hijack puts our transport between gorilla and the network.
type hijack struct {
	http.ResponseWriter
	readBuffer int
	transport  *transport
}

func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	netConn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.transport = &transport{Conn: netConn}
	if buffered.Reader.Buffered() > 0 {
		return h.transport, buffered, nil // gorilla refuses it: the client spoke too early
	}
	// Gorilla takes this reader for its own: the socket can see whether it is
	// used up.
	h.transport.buffered = bufio.NewReaderSize(h.transport, h.readBuffer)
	return h.transport, bufio.NewReadWriter(h.transport.buffered, buffered.Writer), nil
}

// transport is what gorilla reads from. It tells when gorilla has used up what
// one read brought, and after the handshake lets nothing of gorilla's out: the
// only writer is ours.
type transport struct {
	net.Conn
	socket   *socket // nil during the handshake
	buffered *bufio.Reader
}

func (t *transport) Read(p []byte) (int, error) {
	if t.socket == nil {
		return t.Conn.Read(p)
	}
	t.socket.deliver()
	n, err := t.Conn.Read(p)
	t.socket.noteRead(n)
	return n, err
}

func (t *transport) Write(p []byte) (int, error) {
	if t.socket == nil {
		return t.Conn.Write(p)
	}
	return len(p), nil
}
