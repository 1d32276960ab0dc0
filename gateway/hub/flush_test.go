package hub

import (
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// A hub that has many to write to, ahead of time, looks after each batch at what
// came meanwhile, and what is due before the rest leaves before it.
func TestWhatComesDuringALongTurnNeedNotWaitForItsEnd(t *testing.T) {
	const crowd = 5 * batchSize
	b := newBench(t, 1)
	h := b.hubs.hubs[0]
	pong := &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Pong{Pong: &starlingv1.Pong{}}}
	written := 0
	var clients []*Client
	var conns []*fakeConn
	for i := range crowd + 1 {
		c, at := b.join(world.EntityID(i+1), cellAt(1), 0)
		clients, conns = append(clients, c), append(conns, at)
	}
	b.confirm()
	b.answer(cellAt(1), 10)
	b.turn()
	now := time.Now()
	urgent, urgentAt := clients[crowd], -1
	for i, c := range clients[:crowd] {
		c.messages = append(c.messages, privateMessage{client: c, message: pong})
		h.put(c, now, now.Add(time.Duration(i)*20*time.Millisecond/crowd))
		conns[i].wrote = func() {
			if written++; written == 1 {
				urgent.Send(pong)
			}
		}
	}
	conns[crowd].wrote = func() { urgentAt = written }
	ahead := 40 * time.Millisecond
	turns := 0
	for h.flushDue(now, ahead); len(h.wake) > 0; h.flushDue(now, ahead) {
		<-h.wake
		h.take()
		if turns++; turns > crowd {
			t.Fatal("it makes no progress")
		}
	}
	if written != crowd {
		t.Errorf("%d of %d were written to", written, crowd)
	}
	if urgentAt < 0 || urgentAt > 3*batchSize {
		t.Errorf("what came during the first write left after %d others", urgentAt)
	}
}
