// Package redisproc starts real redis-server processes on this machine, for
// tests and for commands that need a Redis of their own, and does to them what
// operators fear: kill, pause, restart, fail over, move slots.
package redisproc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/child"
)

// ErrNoRedis: there is no redis-server on this machine.
var ErrNoRedis = errors.New("redis-server is not installed: `make test` installs it, or run apt-get install redis-server")

// Options of a redis-server.
type Options struct {
	// Dir holds its data. "" makes a temporary one, removed by Close.
	Dir string
	// AppendOnly writes every command to disk before it is answered
	// (appendonly yes, appendfsync always).
	AppendOnly bool
	// MaxMemoryPolicy; "" means noeviction.
	MaxMemoryPolicy string
	// MaxMemory in bytes; 0 means no bound.
	MaxMemory int64
	// UnixSocket listens on a socket in Dir, too.
	UnixSocket bool
	// Arguments are further settings, e.g. "--hz", "50".
	Arguments []string

	cluster bool
}

// Server is one redis-server. It is ended with the process that started it,
// whatever becomes of that.
type Server struct {
	options Options
	path    string
	port    int
	ownDir  bool

	mu     sync.Mutex
	child  *child.Process // nil: it was ended
	last   *child.Process // that was started
	output bytes.Buffer
}

// Start starts a server and waits until it answers.
func Start(ctx context.Context, options Options) (*Server, error) {
	s, err := newServer(options)
	if err != nil {
		return nil, err
	}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newServer(options Options) (*Server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrNoRedis
	}
	s := &Server{options: options, path: path}
	if options.Dir == "" {
		s.ownDir = true
		if s.options.Dir, err = os.MkdirTemp("", "redis-"); err != nil {
			return nil, err
		}
	}
	s.port, err = freePort(options.cluster)
	return s, err
}

// freePort finds a port that nobody listens on; for a Cluster node the port of
// its bus, 10,000 above, must be free, too.
func freePort(cluster bool) (int, error) {
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if !cluster {
			return port, nil
		}
		// Ports that the system gives out may lie too high; look below them.
		if port = 12_000 + port%10_000; listens(port) && listens(port+10_000) {
			return port, nil
		}
	}
	return 0, errors.New("found no free port")
}

func listens(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// UnixSocket is the path of the socket, when Options.UnixSocket is set.
func (s *Server) UnixSocket() string { return filepath.Join(s.options.Dir, "redis.sock") }

// Dir holds its data.
func (s *Server) Dir() string { return s.options.Dir }

// PID is the running process, 0 if there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return 0
	}
	return s.child.PID()
}

// Restart starts the server, again on the same data and port, and waits until
// it has loaded its data.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.launch(); err != nil {
		return err
	}
	for !s.answers() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis-server at %s does not answer: %w\n%s", s.Address(), ctx.Err(), s.Output())
		case <-s.Exited():
			return fmt.Errorf("redis-server at %s ended:\n%s", s.Address(), s.Output())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// answers says whether the server is up and has loaded its data.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Address(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && reply == "+PONG\r\n"
}

func (s *Server) launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child != nil {
		return errors.New("redis-server runs already")
	}
	s.output.Reset()
	cmd := exec.Command(s.path, s.arguments()...)
	output := &lockedWriter{mu: &s.mu, to: &s.output}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Dir = s.options.Dir
	started, err := child.Start(cmd)
	if err != nil {
		return err
	}
	s.child, s.last = started, started
	return nil
}

func (s *Server) arguments() []string {
	o := s.options
	policy := o.MaxMemoryPolicy
	if policy == "" {
		policy = "noeviction"
	}
	args := []string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", o.Dir,
		"--save", "", "--daemonize", "no", "--protected-mode", "yes",
		"--maxmemory-policy", policy, "--maxmemory", strconv.FormatInt(o.MaxMemory, 10),
	}
	if o.AppendOnly {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if o.UnixSocket {
		args = append(args, "--unixsocket", s.UnixSocket())
	}
	if o.cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-node-timeout", "1500",
			"--cluster-config-file", "nodes.conf", "--repl-diskless-sync-delay", "0",
			"--cluster-replica-validity-factor", "0", "--cluster-migration-barrier", "10")
	}
	return append(args, o.Arguments...)
}

// Exited is closed when the running process ends.
func (s *Server) Exited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Exited()
}

// Output is what the server printed since it was started last.
func (s *Server) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// Kill ends the server at once (SIGKILL) and waits until it is gone.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Stop asks the server to end (SIGTERM) and waits until it is gone.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) error {
	s.mu.Lock()
	running := s.child
	s.child = nil
	s.mu.Unlock()
	if running == nil {
		return nil
	}
	return running.End(signal)
}

// Pause stops the process without ending it (SIGSTOP): connections stay open
// and nothing is answered.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Continue lets a paused process go on (SIGCONT).
func (s *Server) Continue() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return errors.New("redis-server does not run")
	}
	return s.child.Signal(signal)
}

// Client makes a client of this one server, without retries.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Address(), MaxRetries: -1, ContextTimeoutEnabled: true,
		DialerRetries: 1})
}

// Close kills the server and removes its data if Dir was its own.
func (s *Server) Close() error {
	err := s.Kill()
	if s.ownDir {
		err = errors.Join(err, os.RemoveAll(s.options.Dir))
	}
	return err
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
