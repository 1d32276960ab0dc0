package generator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// endpoint is an address to connect to.
type endpoint struct {
	host      string // as in the URL
	path      string
	secure    bool
	addresses []netip.AddrPort
}

// defaultPath is that of a gateway's websocket.
const defaultPath = "/v1/ws"

// ParseTarget reads the address of a gateway: ws://, wss://, http:// or https://,
// host, port and path; without a path it is /v1/ws.
func ParseTarget(target string) (*url.URL, error) {
	if !strings.Contains(target, "://") {
		target = "ws://" + target
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", target, err)
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return nil, fmt.Errorf("target %q: want a ws://, wss://, http:// or https:// address", target)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("target %q names no host", target)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	return u, nil
}

func resolve(ctx context.Context, target string) (*endpoint, error) {
	u, err := ParseTarget(target)
	if err != nil {
		return nil, err
	}
	e := &endpoint{host: u.Host, path: u.RequestURI(), secure: u.Scheme == "wss"}
	port := uint64(80)
	if e.secure {
		port = 443
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.ParseUint(text, 10, 16); err != nil {
			return nil, fmt.Errorf("target %q: port %q", target, text)
		}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, err
	}
	for _, address := range found {
		e.addresses = append(e.addresses, netip.AddrPortFrom(address.Unmap(), uint16(port)))
	}
	if u.Hostname() == "localhost" { // one family will do: the other may not be listened on
		e.addresses = e.addresses[:1]
		for _, address := range found {
			if address.Unmap().Is4() {
				e.addresses[0] = netip.AddrPortFrom(address.Unmap(), uint16(port))
			}
		}
	}
	if len(e.addresses) == 0 {
		return nil, errors.New("no address of " + u.Hostname())
	}
	return e, nil
}

// loopback says whether the target is this machine by a loopback address of IPv4,
// of which there are many to connect from.
func (e *endpoint) loopback() bool {
	for _, a := range e.addresses {
		if !a.Addr().Is4() || !a.Addr().IsLoopback() {
			return false
		}
	}
	return true
}
