package yardstick

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pair gives a connection over a socket that takes little, and the other end.
func pair(t *rapid.T, p *poller) (c *connection, far int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetsockoptInt(fds[0], syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096); err != nil {
		t.Fatal(err)
	}
	c = &connection{fd: fds[0]}
	p.server.table[c.fd].Store(c)
	p.adopt(c, nil)
	return c, fds[1]
}

func testPoller(t *testing.T) *poller {
	s := &server{options: Options{Wait: time.Millisecond}, began: time.Now(), world: newCrowdMap(), table: make([]atomic.Pointer[connection], 1<<12)}
	p, err := newPoller(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// However full the socket is, and whether what is said waits or not: all of it is
// written, in the order in which it was said, and the owner asks to hear of a full
// socket only.
func TestAllThatIsSaidIsWrittenInOrder(t *testing.T) {
	p := testPoller(t)
	rapid.Check(t, func(t *rapid.T) {
		c, far := pair(t, p)
		defer syscall.Close(far)
		defer p.drop(c)
		said, heard, buffer := uint32(0), uint32(0), make([]byte, 16<<10)
		var rest []byte
		hear := func(most int) {
			n, err := syscall.Read(far, buffer[:most])
			if err != nil {
				if !errors.Is(err, syscall.EAGAIN) {
					t.Fatal(err)
				}
				return
			}
			for rest = append(rest, buffer[:n]...); len(rest) >= 4; rest = rest[4:] {
				if number := binary.LittleEndian.Uint32(rest); number != heard {
					t.Fatalf("heard %d after %d", number, heard)
				}
				heard++
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"say", "later", "flush", "hear", "drain"}).Draw(t, "step") {
			case "say", "later":
				var data []byte
				for range rapid.IntRange(1, 1500).Draw(t, "numbers") {
					data = binary.LittleEndian.AppendUint32(data, said)
					said++
				}
				if rapid.Bool().Draw(t, "waits") {
					c.sayLater(data, p, time.Now())
				} else {
					c.say(data)
				}
			case "flush":
				c.flush()
			case "hear":
				hear(rapid.IntRange(1, len(buffer)).Draw(t, "bytes"))
			case "drain":
				c.drain()
			}
			if c.full && len(c.out) == 0 || !c.full && !c.queued && len(c.out) > 0 {
				t.Fatalf("%d bytes wait; queued: %v, full: %v", len(c.out), c.queued, c.full)
			}
		}
		for range 10000 {
			c.flush()
			c.drain()
			if hear(len(buffer)); heard == said {
				return
			}
		}
		t.Fatalf("heard %d of %d", heard, said)
	})
}

// A reader who reads nothing is cut off at a bound, and costs nobody else
// anything.
func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	p := testPoller(t)
	rapid.Check(t, func(t *rapid.T) {
		c, far := pair(t, p)
		defer syscall.Close(far)
		defer p.drop(c)
		block := make([]byte, rapid.IntRange(1<<10, 64<<10).Draw(t, "bytes"))
		for said := 0; said < 4*mostUnsent; said += len(block) {
			if rapid.Bool().Draw(t, "waits") {
				c.sayLater(block, p, time.Now())
			} else {
				c.say(block)
			}
			if len(c.out) > mostUnsent {
				t.Fatalf("%d bytes are kept", len(c.out))
			}
		}
		if !c.closed {
			t.Fatal("it is still there")
		}
	})
}

// Who is told first is due first.
func TestWaitingIsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w waiting
		began, next, taken := time.Now(), 0, 0
		for range rapid.IntRange(1, 5000).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "step") > 0 {
				w.add(due{at: began.Add(time.Duration(next))})
				next++
				continue
			}
			if at, ok := w.next(); ok {
				if at != began.Add(time.Duration(taken)) {
					t.Fatalf("%v, want %d", at.Sub(began), taken)
				}
				w.head++
				taken++
			}
		}
		if left := len(w.all) - w.head; left != next-taken {
			t.Fatalf("%d left, want %d", left, next-taken)
		}
	})
}
