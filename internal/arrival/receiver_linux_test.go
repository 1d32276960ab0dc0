package arrival

import (
	"syscall"
	"testing"
	"time"
)

// The kernel stamps what comes over TCP when it comes, not when it is read.
func TestReceiveIsStamped(t *testing.T) {
	near, far := tcpPair(t)
	Stamp(near)
	if _, err := syscall.Write(far, []byte("first")); err != nil {
		t.Fatal(err)
	}
	sentBy := time.Now().UnixNano()
	r := Receiver{Buffer: make([]byte, 64)}
	for { // stamps begin a moment after the first socket asks for them
		_, stamp, errno := r.Receive(near)
		switch {
		case errno == syscall.EAGAIN:
			continue
		case errno != 0:
			t.Fatal(errno)
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
		n, _, errno := r.Receive(near)
		if n == 0 && errno == 0 {
			return
		}
		if errno != 0 && errno != syscall.EAGAIN {
			t.Fatalf("at the end: %v", errno)
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
