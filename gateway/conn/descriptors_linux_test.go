package conn_test

import (
	"os"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// However connections end, no descriptor is left.
func TestDescriptors(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{CloseWait: 50 * time.Millisecond}, w, nil)
		ws, m := s.dial(t)
		_ = ws.Close()
		<-m.closed
		before := descriptors(t)
		var all []*member
		var peers []*websocket.Conn
		for i := range 120 {
			ws, m := s.dial(t)
			switch i % 4 {
			case 0:
				_ = ws.Close()
			case 1:
				m.conn.Close(starlingv1.CloseCode_IDLE, "")
			case 2:
				_, _ = ws.NetConn().Write([]byte{0xff, 0xff})
			case 3:
				_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Minute))
			}
			all, peers = append(all, m), append(peers, ws)
		}
		for i, m := range all {
			<-m.closed
			_ = peers[i].Close()
		}
		if after := descriptors(t); after > before {
			t.Errorf("%d descriptors, before %d", after, before)
		}
	})
}
