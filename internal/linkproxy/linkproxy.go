// Package linkproxy stands between two TCP peers in tests and lets the link
// between them fail: cut it, stall it without a word, refuse it, and heal it.
package linkproxy

import (
	"context"
	"net"
	"sync"
)

// Proxy forwards TCP connections to one address.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu      sync.Mutex
	pairs   map[*pair]struct{}
	refused bool          // new connections are closed at once
	flow    chan struct{} // closed while bytes flow; open while the link is stalled
	stalled bool
	answers bool // only what the target says is stalled
	closed  bool
	opened  int
}

// pair is one forwarded connection.
type pair struct{ client, server net.Conn }

func (p *pair) close() {
	_ = p.client.Close()
	_ = p.server.Close()
}

// New starts a proxy to target on a port of its own on 127.0.0.1.
func New(target string) (*Proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, pairs: map[*pair]struct{}{}, flow: make(chan struct{})}
	close(p.flow)
	p.running.Go(p.accept)
	return p, nil
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// SetTarget changes where new connections go.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Opened is how many connections were forwarded so far.
func (p *Proxy) Opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

// Cut closes all connections and refuses new ones until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = true
	p.breakAll()
}

// Break closes all connections; new ones are welcome.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakAll()
}

func (p *Proxy) breakAll() {
	for c := range p.pairs {
		c.close()
	}
}

// Stall lets no byte through in either direction, and keeps all connections
// open: as if a cable were cut. It ends with Heal.
func (p *Proxy) Stall() { p.stall(false) }

// StallAnswers is Stall for what the target says alone: it goes on hearing, and its
// answers are lost if the connections are broken meanwhile.
func (p *Proxy) StallAnswers() { p.stall(true) }

func (p *Proxy) stall(answers bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = answers
	if !p.stalled {
		p.stalled = true
		p.flow = make(chan struct{})
	}
}

// Heal ends Cut, Stall and StallAnswers. What was stalled flows on.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heal()
}

func (p *Proxy) heal() {
	p.refused = false
	if p.stalled {
		p.stalled = false
		close(p.flow)
	}
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.heal()
	p.breakAll()
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.forward(client) })
	}
}

func (p *Proxy) forward(client net.Conn) {
	p.mu.Lock()
	target, refused := p.target, p.refused || p.closed
	p.mu.Unlock()
	if refused {
		_ = client.Close()
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &pair{client, server}
	if !p.add(c) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(c, server, client) })
	both.Go(func() { p.copy(c, client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

func (p *Proxy) add(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused || p.closed {
		c.close()
		return false
	}
	p.pairs[c] = struct{}{}
	p.opened++
	return true
}

// copy moves bytes until either end closes. While the link is stalled it holds
// what it has read.
func (p *Proxy) copy(c *pair, to, from net.Conn) {
	defer c.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.wait(from == c.server)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) wait(answer bool) {
	for {
		p.mu.Lock()
		flow, stalled := p.flow, p.stalled && (answer || !p.answers)
		p.mu.Unlock()
		if !stalled {
			return
		}
		<-flow
	}
}
