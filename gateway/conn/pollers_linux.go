package conn

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/starling-vr/starling/internal/arrival"
)

// pollers share the plain TCP connections among themselves.
type pollers struct {
	all  []*poller
	next atomic.Uint32
}

func newPollers(options *Options) (*pollers, error) {
	ps := &pollers{}
	for range options.Pollers {
		p, err := newPoller(options)
		if err != nil {
			ps.close()
			return nil, err
		}
		ps.all = append(ps.all, p)
		go p.run()
	}
	return ps, nil
}

// adopt takes a connection over if it is a plain one; else it gives nil.
func (ps *pollers) adopt(c net.Conn, json bool) (opened, error) {
	plain, ok := c.(*net.TCPConn)
	if !ok {
		return nil, nil
	}
	p := ps.all[int(ps.next.Add(1))%len(ps.all)]
	_ = plain.SetWriteBuffer(p.options.SocketBuffer)
	fd, err := takeOver(plain)
	if err != nil {
		return nil, err
	}
	arrival.Stamp(fd)
	return p.newPolled(fd, json), nil
}

func (ps *pollers) wakeUps() (n uint64) {
	for _, p := range ps.all {
		n += p.wakeUps.Load()
	}
	return n
}

// collect has all pollers serve what is ready, and returns when they did.
func (ps *pollers) collect() {
	var others sync.WaitGroup
	for _, p := range ps.all[1:] {
		others.Go(p.collect)
	}
	ps.all[0].collect()
	others.Wait()
}

func (ps *pollers) rest(on bool) {
	for _, p := range ps.all {
		p.rest(on)
	}
}

func (ps *pollers) close() {
	for _, p := range ps.all {
		p.close()
	}
}
