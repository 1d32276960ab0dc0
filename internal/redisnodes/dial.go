package redisnodes

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Dial opens a plain connection to a node, logged in, for those who speak the
// protocol themselves (RESP2).
func Dial(ctx context.Context, address string, config Config) (net.Conn, error) {
	conn, err := connect(ctx, address, config)
	if err != nil || config.Password == "" {
		return conn, err
	}
	if err := logIn(ctx, conn, config); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("redis at %s: %w", address, err)
	}
	return conn, nil
}

// Network is what to dial for an address of Config: "unix" and the path of a socket for
// unix:/path, else "tcp" and the address itself.
func Network(address string) (network, at string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

func connect(ctx context.Context, address string, config Config) (net.Conn, error) {
	config.setDefaults()
	dialer := net.Dialer{Timeout: config.DialTimeout}
	network, at := Network(address)
	if config.TLS != nil && network == "tcp" {
		return (&tls.Dialer{NetDialer: &dialer, Config: config.TLS}).DialContext(ctx, network, at)
	}
	return dialer.DialContext(ctx, network, at)
}

func logIn(ctx context.Context, conn net.Conn, config Config) error {
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
		defer func() { _ = conn.SetDeadline(time.Time{}) }()
	}
	user := config.Username
	if user == "" {
		user = "default"
	}
	command := []byte("*3\r\n")
	for _, word := range []string{"AUTH", user, config.Password} {
		command = append(command, '$')
		command = strconv.AppendInt(command, int64(len(word)), 10)
		command = append(append(append(command, "\r\n"...), word...), "\r\n"...)
	}
	if _, err := conn.Write(command); err != nil {
		return err
	}
	// One byte at a time: what follows is for the caller.
	line, err := bufio.NewReaderSize(oneByte{conn}, 16).ReadString('\n')
	if err != nil {
		return err
	}
	if line[0] != '+' {
		return fmt.Errorf("login refused: %s", strings.TrimSpace(line[1:]))
	}
	return nil
}

type oneByte struct{ net.Conn }

func (c oneByte) Read(p []byte) (int, error) { return c.Conn.Read(p[:1]) }
