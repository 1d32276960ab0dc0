package generator

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// dialTLS connects over TLS. The loop knows plain sockets only: it gets one end
// of a pair, and goroutines carry the bytes between the other end and the
// connection. It costs more than a plain connection.
func dialTLS(to netip.AddrPort, source netip.Addr, host string, config *tls.Config) (fd int, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|nonBlocking|cloExec, 0)
	if err != nil {
		return -1, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(pair[1]), "tls")
	far, err := net.FileConn(file) // a copy
	_ = file.Close()
	if err != nil {
		_ = syscall.Close(pair[0])
		return -1, err
	}
	go carry(far, to, source, withHost(config, host))
	return pair[0], nil
}

func withHost(config *tls.Config, host string) *tls.Config {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName != "" {
		return config
	}
	config = config.Clone()
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	config.ServerName = host
	return config
}

// carry connects and moves bytes until either end closes. A connection that
// cannot be had looks to the loop like one that broke.
func carry(near net.Conn, to netip.AddrPort, source netip.Addr, config *tls.Config) {
	defer near.Close()
	dialer := &net.Dialer{Timeout: handshakeTime}
	if source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	far, err := tls.DialWithDialer(dialer, "tcp", to.String(), config)
	if err != nil {
		refuseTLS(near, err)
		return
	}
	defer far.Close()
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
}

// refuseTLS tells the loop why there is no connection, in place of the answer to
// the upgrade.
func refuseTLS(near net.Conn, why error) {
	_ = near.SetDeadline(time.Now().Add(time.Second))
	_, _ = near.Read(make([]byte, 4096)) // the request
	_, _ = io.WriteString(near, "TLS: "+why.Error()+"\r\n\r\n")
}
