package starling

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

const (
	subprotocolProto = "starling.v1.proto"
	subprotocolJSON  = "starling.v1.json"

	writeTimeout = 10 * time.Second
	readLimit    = 64 << 20 // bytes: far above any frame, against a peer gone mad
)

// wire is one websocket connection: messages in and out. One goroutine reads;
// one at a time writes; cut may be called by anyone.
type wire struct {
	ws     *websocket.Conn
	cork   *corkConn
	json   bool
	out    []byte
	in     []byte
	closed sync.Once

	draining atomic.Bool // cut because the gateway is going away
}

// dialWire connects and agrees on the subprotocol.
func dialWire(ctx context.Context, url string, o *Options) (*wire, error) {
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: o.HandshakeTimeout}
	if o.Dialer != nil {
		dialer = *o.Dialer
	}
	var cork *corkConn
	dial := dialer.NetDialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	dialer.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		cork = &corkConn{Conn: conn}
		return cork, nil
	}
	dialer.Subprotocols = []string{subprotocolProto}
	if o.JSON {
		dialer.Subprotocols = []string{subprotocolJSON}
	}
	header := make(http.Header)
	for name, value := range o.Header {
		header.Set(name, value)
	}
	ws, response, err := dialer.DialContext(ctx, url, header)
	if err != nil {
		if response != nil && err == websocket.ErrBadHandshake {
			return nil, &statusError{response.StatusCode}
		}
		return nil, err
	}
	if got := ws.Subprotocol(); got != dialer.Subprotocols[0] {
		ws.Close()
		return nil, fmt.Errorf("starling: the gateway speaks %q, not %s", got, dialer.Subprotocols[0])
	}
	ws.SetReadLimit(readLimit)
	return &wire{ws: ws, cork: cork, json: o.JSON}, nil
}

// read waits for one message.
func (w *wire) read(m *starlingv1.ServerMessage) error {
	kind, r, err := w.ws.NextReader()
	if err != nil {
		return err
	}
	w.in, err = readAll(r, w.in[:0])
	if err != nil {
		return err
	}
	if w.json != (kind == websocket.TextMessage) {
		return fmt.Errorf("starling: message of kind %d in this subprotocol", kind)
	}
	if w.json {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(w.in, m)
	} else {
		err = m.UnmarshalVT(w.in)
	}
	if err != nil {
		return fmt.Errorf("starling: undecodable message: %w", err)
	}
	if cap(w.in) > 1<<20 {
		w.in = nil // one giant baseline must not be paid for ever after
	}
	return nil
}

func readAll(r io.Reader, into []byte) ([]byte, error) {
	for {
		if len(into) == cap(into) {
			into = append(into, 0)[:len(into)]
		}
		n, err := r.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
		if err == io.EOF {
			return into, nil
		}
		if err != nil {
			return into, err
		}
	}
}

// write sends one message; while the connection is corked it is only kept.
func (w *wire) write(m *starlingv1.ClientMessage) (err error) {
	kind := websocket.BinaryMessage
	if w.json {
		kind = websocket.TextMessage
		w.out, err = protojson.Marshal(m)
	} else {
		size := m.SizeVT()
		if cap(w.out) < size {
			w.out = make([]byte, size+size/2)
		}
		w.out = w.out[:size]
		_, err = m.MarshalToSizedBufferVT(w.out)
	}
	if err != nil {
		return err
	}
	if err := w.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return w.ws.WriteMessage(kind, w.out)
}

// cut ends the connection, with a close frame if there is room for one at once.
func (w *wire) cut(reason string) {
	w.closed.Do(func() {
		message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason)
		_ = w.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(100*time.Millisecond)) // best effort
		w.ws.Close()
	})
}

// corkConn gathers writes: what is written while corked leaves in one system
// call at uncork.
type corkConn struct {
	net.Conn
	mu     sync.Mutex
	corked bool
	held   []byte
}

func (c *corkConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.corked {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *corkConn) setCork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

func (c *corkConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	if len(c.held) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.held)
	c.held = c.held[:0]
	return err
}
