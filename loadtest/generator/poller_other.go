//go:build !linux

package generator

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"github.com/starling-vr/starling/internal/arrival"
)

var errLinuxOnly = errors.New("the load generator needs Linux (epoll)")

const (
	wakeIndex                  = -1
	readable, writable, broken = 1, 2, 4
)

type event struct {
	Events  uint32
	Fd, Pad int32
}

type poller struct{}

func receive(*arrival.Receiver, int) (int, int64, error) { return 0, 0, errLinuxOnly }

func newPoller() (*poller, error)                      { return nil, errLinuxOnly }
func (p *poller) close()                               {}
func (p *poller) add(int, int32, int32, bool) error    { return errLinuxOnly }
func (p *poller) change(int, int32, int32, bool) error { return errLinuxOnly }
func (p *poller) mute(int, int32, int32) error         { return errLinuxOnly }
func (p *poller) wait(time.Duration) ([]event, error)  { return nil, errLinuxOnly }
func (p *poller) rest(time.Duration)                   {}
func (p *poller) wakeUp()                              {}
func (p *poller) woken()                               {}
func pinThread() (release func())                      { return func() {} }
func dial(netip.AddrPort, netip.Addr) (int, error)     { return -1, errLinuxOnly }
func connected(int) error                              { return errLinuxOnly }
func write(int, []byte) (int, error)                   { return 0, errLinuxOnly }
func closeSocket(int)                                  {}

func dialTLS(netip.AddrPort, netip.Addr, string, *tls.Config) (int, error) { return -1, errLinuxOnly }
