package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/pubsub"
)

const (
	pingEvery = time.Second
	// silence is how long a connection may say nothing, pings unanswered,
	// before it is given up.
	silence = 3 * time.Second
)

// session is one subscriber connection to one node. When it ends it is replaced
// by another: what came in between is lost, and told as lost.
type session struct {
	address string
	events  sessionEvents

	mu       sync.Mutex
	conn     net.Conn
	ended    bool
	out      []byte // to be written
	requests []request
	wake     chan struct{}

	channels map[string]*channel // that the reader looks up by name

	batch []pubsub.Message // of one shard, that came together; the reader's alone
}

// sessionEvents is what a session tells. All but ended come from its reader, in
// the order of the connection.
type sessionEvents interface {
	confirmed(s *session, c *channel)
	refused(s *session, c *channel, message string)
	unsubscribed(s *session, c *channel) // by the node
	received(s *session, c *channel, payload []byte)
	idle(s *session) // nothing more has come for now
	ended(s *session, err error)
}

// request is a command under way; answers come in order.
type request struct {
	kind    requestKind
	channel *channel // of a subscribe or an unsubscribe
}

type requestKind uint8

const (
	requestAuth requestKind = iota
	requestPing
	requestSubscribe
	requestUnsubscribe
)

func newSession(address string, events sessionEvents) *session {
	return &session{address: address, events: events, wake: make(chan struct{}, 1), channels: make(map[string]*channel)}
}

// subscribe asks for a channel; confirmed, refused or ended will answer.
func (s *session) subscribe(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[c.name] = c
	s.send(request{requestSubscribe, c}, "SSUBSCRIBE", c.name)
}

// unsubscribe ends a channel; nothing answers.
func (s *session) unsubscribe(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[c.name] == c {
		delete(s.channels, c.name)
		s.send(request{requestUnsubscribe, c}, "SUNSUBSCRIBE", c.name)
	}
}

// forget drops a channel that the node does not serve.
func (s *session) forget(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[c.name] == c {
		delete(s.channels, c.name)
	}
}

func (s *session) ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(request{kind: requestPing}, "PING")
}

func (s *session) send(r request, args ...string) {
	if s.ended {
		return
	}
	s.requests = append(s.requests, r)
	s.out = appendCommand(s.out, args...)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close ends the session; events.ended still comes.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.conn != nil {
		s.conn.Close()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run connects, reads and writes until the connection breaks or ctx ends.
func (s *session) run(ctx context.Context, config redisnodes.Config) {
	err := s.connect(ctx, config)
	if err == nil {
		var writing sync.WaitGroup
		stop := context.AfterFunc(ctx, s.close)
		writing.Go(s.write)
		err = s.read()
		stop()
		s.close()
		writing.Wait()
	}
	s.events.ended(s, err)
}

func (s *session) connect(ctx context.Context, config redisnodes.Config) error {
	conn, err := dial(ctx, s.address, config)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		conn.Close()
		return redisnodes.ErrClosed
	}
	s.conn = conn
	if config.Password != "" {
		// Before whatever waits already.
		user := config.Username
		if user == "" {
			user = "default"
		}
		s.out = append(appendCommand(nil, "AUTH", user, config.Password), s.out...)
		s.requests = append([]request{{kind: requestAuth}}, s.requests...)
	}
	return nil
}

func dial(ctx context.Context, address string, config redisnodes.Config) (net.Conn, error) {
	dialer := net.Dialer{Timeout: config.DialTimeout}
	network, at := redisnodes.Network(address)
	if config.TLS != nil && network == "tcp" {
		return (&tls.Dialer{NetDialer: &dialer, Config: config.TLS}).DialContext(ctx, network, at)
	}
	return dialer.DialContext(ctx, network, at)
}

func (s *session) write() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	var buffer []byte
	for {
		s.mu.Lock()
		buffer, s.out = s.out, buffer[:0]
		conn, ended := s.conn, s.ended
		s.mu.Unlock()
		if ended {
			return
		}
		if len(buffer) > 0 {
			conn.SetWriteDeadline(time.Now().Add(silence))
			if _, err := conn.Write(buffer); err != nil {
				conn.Close() // the reader finds out
				return
			}
		}
		select {
		case <-s.wake:
		case <-ticker.C:
			s.ping()
		}
	}
}

func (s *session) read() error {
	r := bufio.NewReaderSize(patient{s.conn}, 64<<10)
	var in reply
	for {
		if r.Buffered() == 0 {
			s.events.idle(s)
		}
		if err := readReply(r, &in); err != nil {
			return err
		}
		if err := s.handle(&in); err != nil {
			return err
		}
	}
}

// patient bounds each read, not the whole stream.
type patient struct{ net.Conn }

func (p patient) Read(to []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return p.Conn.Read(to)
}

func (s *session) handle(in *reply) error {
	switch {
	case in.kind == '-':
		return s.handleError(string(in.text))
	case in.kind == '+': // OK of AUTH, PONG while nothing is subscribed
		s.answered()
		return nil
	case in.kind != '*' || len(in.items) == 0:
		return fmt.Errorf("%w: kind %q", errProtocol, in.kind)
	}
	switch kind := string(in.items[0]); {
	case kind == "smessage" && len(in.items) == 3:
		if c := s.named(in.items[1]); c != nil {
			s.events.received(s, c, in.items[2])
		}
	case kind == "ssubscribe" && len(in.items) == 3:
		if r := s.answered(); r.kind == requestSubscribe && r.channel != nil {
			s.events.confirmed(s, r.channel)
		}
	case kind == "sunsubscribe" && len(in.items) == 3:
		s.handleUnsubscribe(in.items[1])
	case kind == "pong":
		s.answered()
	default:
		return fmt.Errorf("%w: %q", errProtocol, kind)
	}
	return nil
}

func (s *session) handleError(message string) error {
	r := s.answered()
	if r.kind != requestSubscribe || r.channel == nil {
		return errors.New("redis: " + message)
	}
	s.events.refused(s, r.channel, message)
	return nil
}

// handleUnsubscribe tells our own request from the node's, when a slot moved.
func (s *session) handleUnsubscribe(name []byte) {
	s.mu.Lock()
	if len(s.requests) > 0 && s.requests[0].kind == requestUnsubscribe && s.requests[0].channel.name == string(name) {
		s.requests = s.requests[1:]
		s.mu.Unlock()
		return
	}
	c := s.channels[string(name)]
	s.mu.Unlock()
	if c != nil {
		s.events.unsubscribed(s, c)
	}
}

// answered takes the oldest request.
func (s *session) answered() request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		return request{}
	}
	r := s.requests[0]
	s.requests = s.requests[1:]
	return r
}

func (s *session) named(name []byte) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[string(name)]
}
