package conn_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-vr/starling/gateway/conn"
)

// dialWith dials a client that sends messages in fragments of so many bytes.
func (s *server) dialWith(t testing.TB, fragment int) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{conn.ProtoSubprotocol}, WriteBufferSize: fragment, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	<-s.receiver.accepted
	return ws
}

// Pongs of any size, before, between and within messages, leave the messages as
// they are.
func TestPongsBetweenMessages(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{}, w)
		ws := s.dialWith(t, 256)
		pong := func(size int) {
			if err := ws.WriteControl(websocket.PongMessage, []byte(strings.Repeat("p", size)), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		pong(0)
		for i, size := range []int{0, 1, 124, 125} {
			pong(size)
			out, err := ws.NextWriter(websocket.BinaryMessage)
			if err != nil {
				t.Fatal(err)
			}
			message := strings.Repeat(string(rune('a'+i)), 700) // longer than the read buffer
			for _, part := range []string{message[:1], message[1:]} {
				if _, err := out.Write([]byte(part)); err != nil {
					t.Fatal(err)
				}
				pong(size) // within the message: 700 bytes are fragments
			}
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			pong(size)
			if got := <-s.receiver.messages; len(got) != 1 || got[0] != message {
				t.Errorf("received %d messages, the first of %d bytes", len(got), len(got[0]))
			}
		}
	})
}
