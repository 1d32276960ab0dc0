package generator

import (
	"syscall"
	"testing"
	"time"
)

func TestWall(t *testing.T) {
	epoch := time.Now()
	var w wall
	w.sync(epoch, 0)
	const now = int64(5 * time.Second)
	stamp := func(at int64) int64 { return w.ahead + at }
	for name, c := range map[string]struct{ stamp, want int64 }{
		"a little ago":       {stamp(now - 3_000_000), now - 3_000_000},
		"not stamped":        {0, now},
		"later than read":    {stamp(now + 1), now},
		"the clock went on":  {stamp(now - 2*oldestNew), now},
		"the clock was back": {stamp(now + 2*oldestNew), now},
	} {
		if got := w.arrived(c.stamp, now); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if w.ahead < epoch.UnixNano()-int64(time.Second) || w.ahead > epoch.UnixNano()+int64(time.Second) {
		t.Errorf("ahead %d, epoch %d", w.ahead, epoch.UnixNano())
	}
}

// The kernel stamps what comes over TCP when it comes, not when it is read.
func TestReceiveIsStamped(t *testing.T) {
	near, far := tcpPair(t)
	stamped(near)
	if _, err := syscall.Write(far, []byte("first")); err != nil {
		t.Fatal(err)
	}
	sentBy := time.Now().UnixNano()
	b := inbox{buffer: make([]byte, 64)}
	for { // stamps begin a moment after the first socket asks for them
		n, stamp, err := b.receive(near)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case n == 0:
			continue
		case stamp == 0:
			if _, err := syscall.Write(far, []byte("again")); err != nil {
				t.Fatal(err)
			}
			sentBy = time.Now().UnixNano()
			continue
		}
		read := time.Now().UnixNano()
		if stamp > read || stamp < sentBy-int64(time.Second) {
			t.Errorf("stamped %d, sent by %d, read %d", stamp, sentBy, read)
		}
		break
	}
	if err := syscall.Close(far); err != nil {
		t.Fatal(err)
	}
	for {
		n, _, err := b.receive(near)
		if err == errEnded {
			return
		}
		if err != nil || n != 0 {
			t.Fatalf("at the end: %d, %v", n, err)
		}
	}
}

// tcpPair is the two ends of a connection; the near one does not block.
func tcpPair(t *testing.T) (near, far int) {
	t.Helper()
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	defer func() { check(syscall.Close(listener)) }()
	check(syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(syscall.Listen(listener, 1))
	at, err := syscall.Getsockname(listener)
	check(err)
	near, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(err)
	check(syscall.Connect(near, at))
	far, _, err = syscall.Accept(listener)
	check(err)
	check(syscall.SetNonblock(near, true))
	t.Cleanup(func() { _ = syscall.Close(near) })
	return near, far
}
