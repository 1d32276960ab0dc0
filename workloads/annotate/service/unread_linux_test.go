package service

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// What lies in a socket for a while is told to have done so, and never for longer.
func TestUnreadIsHowLongBytesLay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	q := &http.Request{ProtoMajor: 1, ProtoMinor: 1}
	age := unread(q.WithContext(WithConnection(context.Background(), near)))
	if age == nil {
		t.Fatal("nothing tells of a TCP connection")
	}
	sent := time.Now()
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	const lay = 50 * time.Millisecond
	for limit := time.Now().Add(20 * time.Second); ; {
		told, known := age()
		if most := time.Since(sent) + tick; !known || told > most {
			t.Fatalf("known %v: it lay for %v, at most %v are possible", known, told, most)
		}
		if told >= lay {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("it lay for %v and is told to have for %v", time.Since(sent), told)
		}
	}
	q.ProtoMajor = 2
	if unread(q.WithContext(WithConnection(context.Background(), near))) != nil || unread(q) != nil {
		t.Error("of HTTP/2, or of no known connection, nobody can tell")
	}
}
