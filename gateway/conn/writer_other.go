//go:build !linux

package conn

import "net"

func newWriter(c net.Conn, socketBuffer int) writer {
	if sized, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
		_ = sized.SetWriteBuffer(socketBuffer)
	}
	return &bufferedWriter{conn: c, limit: socketBuffer}
}
