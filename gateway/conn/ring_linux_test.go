package conn

import (
	"syscall"
	"testing"
)

// A ring whose descriptor is gone says so: nothing was begun, and each send is to
// be made in another way.
func TestBrokenRing(t *testing.T) {
	r := newRing()
	if r == nil {
		t.Log("no io_uring here")
		return
	}
	_ = syscall.Close(r.fd)
	defer func() { r.fd = -1; r.close() }()
	r.add(0, [][]byte{[]byte("x")})
	r.add(0, [][]byte{[]byte("y")})
	if r.submit() {
		t.Fatal("sound")
	}
	for i := range 2 {
		if n, errno := r.result(i); n != 0 || errno != syscall.EAGAIN {
			t.Errorf("send %d: %d, %v", i, n, errno)
		}
	}
}
