package generator

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func at(addresses ...string) *endpoint {
	e := &endpoint{host: "example.org"}
	for _, a := range addresses {
		e.addresses = append(e.addresses, netip.MustParseAddrPort(a))
	}
	return e
}

func TestSourceAddresses(t *testing.T) {
	ports := portRange() * 9 / 10
	if got, err := sources(ports/2, at("127.0.0.1:80")); err != nil || got != nil {
		t.Errorf("%v, %v: one address is enough", got, err)
	}
	got, err := sources(ports/2*2+1, at("127.0.0.1:80"))
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	seen := map[netip.Addr]bool{}
	for _, a := range got {
		if !a.IsLoopback() || seen[a] {
			t.Errorf("%v", got)
		}
		seen[a] = true
	}
	if got, err := sources(2*ports, at("10.0.0.1:80", "10.0.0.2:80")); err != nil || got != nil {
		t.Errorf("%v, %v: two targets have twice the ports", got, err)
	}
	var limit *LimitError
	if _, err := sources(ports+1, at("10.0.0.1:80")); !errors.As(err, &limit) || !strings.Contains(err.Error(), "ip_local_port_range") {
		t.Errorf("%v", err)
	}
	if _, err := sources(1000*ports, at("127.0.0.1:80")); err == nil {
		t.Error("more than a machine has")
	}
}

func TestFileLimits(t *testing.T) {
	if err := CheckFiles(10); err != nil {
		t.Error(err)
	}
	var limit *LimitError
	if err := CheckFiles(1 << 40); !errors.As(err, &limit) || !strings.Contains(err.Error(), "ulimit -Hn") {
		t.Errorf("%v", err)
	}
}

func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"127.0.0.1:8080": "ws://127.0.0.1:8080/v1/ws", "http://a:1/": "ws://a:1/v1/ws", "https://a": "wss://a/v1/ws",
		"wss://a/other?x=1": "wss://a/other?x=1", "ws://[::1]:9": "ws://[::1]:9/v1/ws",
	} {
		if u, err := ParseTarget(target); err != nil || u.String() != want {
			t.Errorf("%q: %v, %v", target, u, err)
		}
	}
	for _, target := range []string{"ftp://a", "ws://", "http://a:b"} {
		if u, err := ParseTarget(target); err == nil {
			t.Errorf("%q: %v", target, u)
		}
	}
	e, err := resolve(t.Context(), "http://localhost:8080")
	if err != nil || len(e.addresses) != 1 || !e.addresses[0].Addr().IsLoopback() || e.addresses[0].Port() != 8080 || e.path != "/v1/ws" {
		t.Errorf("%+v, %v", e, err)
	}
}

// Connections from another loopback address, as a crowd of more than a port
// range has them, arrive from there.
func TestDialFromASource(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	source := netip.MustParseAddr("127.0.0.5")
	fd, err := dial(netip.MustParseAddrPort(listener.Addr().String()), source)
	if err != nil {
		t.Fatal(err)
	}
	defer closeSocket(fd)
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if !strings.HasPrefix(peer.RemoteAddr().String(), "127.0.0.5:") {
		t.Errorf("from %v", peer.RemoteAddr())
	}
}
