package redis

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A socket does what a net.Conn does: all that is written arrives, reads wait for
// something or for their deadline, and the end is one.
func TestSocket(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours := promptly(dialled)
	defer func() { _ = ours.Close() }()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Close() }()

	_ = ours.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := ours.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want the deadline", n, err)
	}
	_ = ours.SetReadDeadline(time.Time{})

	said := bytes.Repeat([]byte("more than sockets keep "), 1<<19)
	wrote := make(chan error, 1)
	go func() {
		n, err := ours.Write(said)
		if err == nil && n != len(said) {
			err = io.ErrShortWrite
		}
		wrote <- err
	}()
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(theirs, heard); err != nil || !bytes.Equal(heard, said) {
		t.Errorf("heard something else, %v", err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}

	go func() {
		_, _ = theirs.Write(said)
		_ = theirs.Close()
	}()
	if got, err := io.ReadAll(ours); err != nil || !bytes.Equal(got, said) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if _, err := ours.Read(nil); err != nil {
		t.Errorf("reading nothing: %v", err)
	}
	_ = ours.Close()
	if _, err := ours.Read(heard[:1]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of a closed one: %v", err)
	}
	if _, err := ours.Write(said[:1]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write to a closed one: %v", err)
	}
}
