package conn

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// counter tells how many messages came.
type counter struct{ came chan int }

func (c counter) Messages(_ Conn, payloads [][]byte) { c.came <- len(payloads) }
func (counter) Writable(Conn)                        {}
func (counter) Closed(Conn, error)                   {}

// What one collection does not bring to its end is read though the socket tells
// nothing new and no other collection follows.
func TestWhatACollectionLeavesIsRead(t *testing.T) {
	u, err := NewUpgrader(Options{Pollers: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := u.pollers.all[0]
	p.turning.Lock()
	p.receiver.Buffer = p.receiver.Buffer[:16] // so that a turn brings little
	p.turning.Unlock()
	const messages = 64 * turnsAtOnce
	told := counter{make(chan int, messages)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = u.Upgrade(w, r, func(Conn) Receiver { return told })
	}))
	defer s.Close()
	defer u.Close()
	u.Rest(true)
	dialer := websocket.Dialer{Subprotocols: []string{ProtoSubprotocol}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
	for range messages {
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte("all is to be read")); err != nil {
			t.Fatal(err)
		}
	}
	for len(told.came) == 0 { // it may be that the connection is not there yet
		u.Collect()
		runtime.Gosched()
	}
	u.Rest(false)
	for came := 0; came < messages; {
		came += <-told.came
	}
}
