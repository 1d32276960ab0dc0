package server

import (
	"context"
	"net"
	"syscall"
	"testing"
	"unsafe"
)

func congestionOf(t *testing.T, c syscall.Conn) string {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	name := make([]byte, 16)
	size := uint32(len(name))
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, tcpCongestion,
			uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&size)), 0)
	}); err != nil || errno != 0 {
		t.Fatal(err, errno)
	}
	for i, b := range name {
		if b == 0 {
			return string(name[:i])
		}
	}
	return string(name)
}

// Accepted connections use what the listener was told; reno is in every kernel.
func TestCongestionOfAcceptedConnections(t *testing.T) {
	for name, want := range map[string]string{"reno": "reno", "no-such-control": ""} {
		l, err := listenTCP(context.Background(), "127.0.0.1:0", name)
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := congestionOf(t, c.(syscall.Conn)); want != "" && got != want || got == "" {
			t.Errorf("asked for %s, got %q", name, got)
		}
		_, _, _ = client.Close(), c.Close(), l.Close()
	}
}
