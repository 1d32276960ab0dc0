package conn_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// writers are the ways to write to many.
var writers = []struct {
	name string
	ring bool
}{{"io_uring", true}, {"writev", false}}

func eachWriter(t *testing.T, run func(t *testing.T, b *conn.BatchWriter)) {
	for _, w := range writers {
		t.Run(w.name, func(t *testing.T) {
			b := conn.NewBatchWriter(w.ring)
			if w.ring && !b.Ring() {
				t.Log("no io_uring here: tried without it")
			}
			defer b.Close()
			run(t, b)
		})
	}
}

// numbered is a frame that says its number, in so many bytes.
func numbered(number uint64, size int) []byte {
	payload := make([]byte, 8+size)
	binary.BigEndian.PutUint64(payload, number)
	return append(conn.AppendHeader(nil, conn.OpBinary, len(payload)), payload...)
}

// readNumbered reads frames up to the number last.
func readNumbered(ws *websocket.Conn, last uint64) error {
	for at := uint64(1); at <= last; at++ {
		_, payload, err := ws.ReadMessage()
		if err != nil {
			return fmt.Errorf("frame %d: %w", at, err)
		}
		if got := binary.BigEndian.Uint64(payload); got != at {
			return fmt.Errorf("frame %d instead of %d", got, at)
		}
	}
	return nil
}

// What was accepted arrives, whole and in order, at each of many connections,
// whatever their sockets take: those that read late become full and go on later.
func TestBatchArrives(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		eachWriter(t, func(t *testing.T, b *conn.BatchWriter) {
			connections := 10
			if w == ways[0] {
				connections = 70 // more than a ring takes at once
			}
			s := gather(t, conn.Options{SocketBuffer: 8 << 10}, w, nil)
			random := rand.New(rand.NewPCG(1, 2))
			peers, members := make([]*websocket.Conn, connections), make([]*member, connections)
			for i := range connections {
				peers[i], members[i] = s.dial(t)
			}
			taken := make([]uint64, connections)
			write := func(all []int, frames, size int) {
				outputs := make([]conn.Output, 0, len(all))
				for _, i := range all {
					o := conn.Output{Conn: members[i].conn}
					for n := range frames {
						o.Frames = append(o.Frames, numbered(taken[i]+uint64(n)+1, size))
					}
					outputs = append(outputs, o)
				}
				b.Write(outputs)
				for n, i := range all {
					taken[i] += uint64(outputs[n].Accepted)
				}
			}
			everybody := random.Perm(connections)
			for range 20 { // nobody reads: sockets fill up
				write(everybody[:1+random.IntN(connections)], 1+random.IntN(70), random.IntN(2000))
			}
			var reading sync.WaitGroup
			for i, ws := range peers {
				reading.Go(func() {
					if err := readNumbered(ws, taken[i]); err != nil {
						t.Errorf("connection %d: %v", i, err)
					}
				})
			}
			reading.Wait()
			before := slices.Clone(taken)
			for full := true; full; { // all go on
				full = false
				write(everybody, 1, 10)
				for i := range taken {
					if taken[i] == before[i] {
						full = true
						<-members[i].writable
					}
				}
			}
		})
	})
}

// Connections that end meanwhile, that others write to, and that are in a batch
// twice: for the race detector, and nothing hangs.
func TestBatchTumult(t *testing.T) {
	eachWriter(t, func(t *testing.T, b *conn.BatchWriter) {
		const connections = 24
		s := gather(t, conn.Options{SocketBuffer: 8 << 10}, ways[0], nil)
		var peers []*websocket.Conn
		var members []*member
		var reading, others sync.WaitGroup
		for range connections {
			ws, m := s.dial(t)
			peers, members = append(peers, ws), append(members, m)
			reading.Go(func() {
				for {
					if _, _, err := ws.ReadMessage(); err != nil {
						return
					}
				}
			})
			others.Go(func() {
				for range 100 {
					m.conn.Ping()
					m.conn.Write([][]byte{numbered(1, 10)})
				}
			})
		}
		outputs := make([]conn.Output, 2*connections)
		for round := range 100 {
			for i := range outputs {
				outputs[i] = conn.Output{Conn: members[i/2].conn, Frames: [][]byte{numbered(1, 100), nil, numbered(2, 10*i)}}
			}
			b.Write(outputs)
			for i := range outputs {
				if n := outputs[i].Accepted; n < 0 || n > 3 {
					t.Fatalf("accepted %d of 3", n)
				}
			}
			if i := round / 8; round%8 == 0 && i < connections {
				if i%2 == 0 {
					_ = peers[i].Close()
				} else {
					members[i].conn.Close(starlingv1.CloseCode_FULL, "enough")
				}
			}
		}
		others.Wait()
		for i, m := range members {
			m.conn.Close(starlingv1.CloseCode_FULL, "enough")
			_ = peers[i].Close()
			<-m.closed
		}
		reading.Wait()
	})
}

func TestBatchAllocatesNothing(t *testing.T) {
	eachWriter(t, func(t *testing.T, b *conn.BatchWriter) {
		s := gather(t, conn.Options{}, ways[0], nil)
		var outputs []conn.Output
		frames := [][]byte{numbered(1, 50), numbered(2, 50)}
		for range 10 {
			_, m := s.dial(t)
			outputs = append(outputs, conn.Output{Conn: m.conn, Frames: frames})
		}
		before := b.Calls()
		if n := testing.AllocsPerRun(50, func() { b.Write(outputs) }); n > 0.5 {
			t.Errorf("%v allocations a batch", n)
		}
		if calls := b.Calls() - before; b.Ring() && calls != 51 {
			t.Errorf("%d calls for 51 batches", calls)
		}
	})
}
