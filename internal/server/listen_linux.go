package server

import (
	"errors"
	"io/fs"
	"syscall"
)

const tcpCongestion = 13 // TCP_CONGESTION: tcp(7)

// setCongestion makes the connections that a socket will accept use a congestion
// control, if the kernel has it.
func setCongestion(fd uintptr, name string) error {
	err := syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, tcpCongestion, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
