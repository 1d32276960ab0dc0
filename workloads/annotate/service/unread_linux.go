package service

import (
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unread gives what tells how long bytes lay in the socket of a request's connection when
// they were read: at least the time since the last ones came, by the kernel's ticks
// (tcp_info of Linux, tcpi_last_data_recv). nil if the connection is not known, or is no TCP.
func unread(q *http.Request) func() (time.Duration, bool) {
	conn, _ := q.Context().Value(connectionKey{}).(net.Conn)
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = wrapped.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok || q.ProtoMajor != 1 { // of HTTP/2 others read the socket
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return func() (time.Duration, bool) { return sinceLast(raw) }
}

// tick is how much longer ago than it is the kernel may say that something was.
const tick = 4 * time.Millisecond

func sinceLast(raw syscall.RawConn) (age time.Duration, known bool) {
	err := raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			age, known = max(time.Duration(info.Last_data_recv)*time.Millisecond-tick, 0), true
		}
	})
	return age, known && err == nil
}
