// Package target knows the servers that a load test drives: one that it starts
// itself as a child, with the store that it needs, or one that is there already.
// Both tell what they use.
package target

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/loadtest/generator"
)

// Options of a server of one's own.
type Options struct {
	Binary     string   // the starling binary; "": this one
	Store      string   // memory, embedded or redis
	Durability string   // memory, disk or replicated
	Masters    int      // of a Redis Cluster, with a replica each; 0 is one, and without replication no Cluster
	Set        []string // more settings, as of `starling serve --set`
	Directory  string   // for what the store writes; "": a temporary one
	Log        *slog.Logger
}

// Self is a server that runs as a child of this process.
type Self struct {
	options   Options
	key       string
	directory string
	address   string
	server    *exec.Cmd
	exited    chan struct{}
	redis     []*redisproc.Server
	closers   []func() error

	mu       sync.Mutex
	serving  bool
	stopping bool
	last     []string // lines of its log, for when it does not come up
}

// startTime is how long a server may take to come up.
const startTime = 20 * time.Second

// Start starts a server, and what its store needs, and waits until it serves.
func Start(ctx context.Context, options Options) (*Self, error) {
	s := &Self{options: options, key: server.NewKey()}
	if options.Log == nil {
		s.options.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Self) start(ctx context.Context) error {
	if s.options.Binary == "" {
		binary, err := os.Executable()
		if err != nil {
			return err
		}
		s.options.Binary = binary
	}
	parent := s.options.Directory
	directory, err := os.MkdirTemp(parent, "starling-loadtest-")
	if err != nil {
		return err
	}
	s.directory = directory
	s.closers = append(s.closers, func() error { return os.RemoveAll(directory) })
	store, err := s.startStore(ctx)
	if err != nil {
		return err
	}
	return s.serve(ctx, store)
}

// startStore starts what the store needs and gives the settings for it.
func (s *Self) startStore(ctx context.Context) ([]string, error) {
	o := &s.options
	set := []string{"store.kind=" + o.Store, "store.durability=" + o.Durability}
	switch o.Store {
	case "memory":
		return set, nil
	case "embedded":
		return append(set, "store.directory="+filepath.Join(s.directory, "world")), nil
	case "redis":
	default:
		return nil, fmt.Errorf("store %q: want memory, embedded or redis", o.Store)
	}
	redis := redisproc.Options{AppendOnly: o.Durability == "disk"}
	replicas := 0
	if o.Durability == "replicated" {
		replicas = 1
	}
	if o.Masters <= 1 && replicas == 0 {
		if err := os.Mkdir(filepath.Join(s.directory, "redis"), 0o700); err != nil {
			return nil, err
		}
		redis.Dir = filepath.Join(s.directory, "redis")
		one, err := redisproc.Start(ctx, redis)
		if err != nil {
			return nil, err
		}
		s.redis = []*redisproc.Server{one}
		s.closers = append(s.closers, one.Close)
		return append(set, "store.redis.addresses="+one.Address()), nil
	}
	cluster, err := redisproc.StartCluster(ctx, max(o.Masters, 1), replicas, redis)
	if err != nil {
		return nil, err
	}
	s.redis = cluster.Servers
	s.closers = append(s.closers, cluster.Close)
	return append(set, "store.redis.cluster=true", "store.redis.addresses="+strings.Join(cluster.Addresses(), ",")), nil
}

// serve starts the server and waits until it says where it listens.
func (s *Self) serve(ctx context.Context, set []string) error {
	set = append(set, "listen=127.0.0.1:0", "auth.key="+s.key, "log.format=json", "log.level=info", "gateway.max_connections=0")
	arguments := []string{"serve"}
	for _, one := range append(set, s.options.Set...) {
		arguments = append(arguments, "--set", one)
	}
	cmd := exec.Command(s.options.Binary, arguments...)
	cmd.SysProcAttr = childAttributes()
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	// The parent-death signal follows the thread that started the process, so
	// that thread lives as long as the process does.
	s.exited = make(chan struct{})
	started, serving := make(chan error), make(chan string, 1)
	read := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-read
			_ = cmd.Wait()
		}
		close(s.exited)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.server = cmd
	go func() {
		defer close(read)
		s.readLog(output, serving)
	}()
	select {
	case s.address = <-serving:
		return nil
	case <-s.exited:
		return fmt.Errorf("the server ended before it served:\n%s", s.lastLines())
	case <-ctx.Done():
		return fmt.Errorf("the server does not serve: %w\n%s", ctx.Err(), s.lastLines())
	}
}

// readLog finds where the server listens, and passes on what it warns of.
func (s *Self) readLog(from io.Reader, serving chan<- string) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Level   slog.Level `json:"level"`
			Message string     `json:"msg"`
			Listen  string     `json:"listen"`
		}
		text := lines.Text()
		if json.Unmarshal([]byte(text), &line) != nil {
			line.Level, line.Message = slog.LevelWarn, text
		}
		if line.Message == "serving" && line.Listen != "" {
			select {
			case serving <- line.Listen:
			default:
			}
		}
		s.mu.Lock()
		s.serving = s.serving || line.Listen != ""
		quiet := s.stopping || !s.serving // what keeps it from coming up is told once
		if s.last = append(s.last, text); len(s.last) > 20 {
			s.last = s.last[1:]
		}
		s.mu.Unlock()
		if line.Level >= slog.LevelWarn && !quiet {
			s.options.Log.Warn("the server says: " + text)
		}
	}
	_, _ = io.Copy(io.Discard, from) // a line too long: the server must not wait for a reader
}

func (s *Self) lastLines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.last, "\n")
}

// URL is the address of its websocket.
func (s *Self) URL() string { return "ws://" + s.address + server.Endpoint }

// MetricsURL is the address of its metrics.
func (s *Self) MetricsURL() string { return "http://" + s.address + "/metrics" }

// Key signs tokens that it takes.
func (s *Self) Key() string { return s.key }

// PIDs are its processes: the server, then the stores.
func (s *Self) PIDs() (server int, stores []int) {
	for _, r := range s.redis {
		stores = append(stores, r.PID())
	}
	return s.server.Process.Pid, stores
}

// Exited is closed when the server ends.
func (s *Self) Exited() <-chan struct{} { return s.exited }

// Usage implements generator.Meter by what the kernel says of the processes.
func (s *Self) Usage(ctx context.Context) (generator.Usage, error) {
	pid, stores := s.PIDs()
	var u generator.Usage
	cpu, err := processCPU(pid)
	if err != nil {
		return u, err
	}
	u.CPU = cpu
	if u.RSS, err = residentMemory(pid); err != nil {
		return u, err
	}
	if len(stores) > 0 {
		sum := 0.0
		for _, store := range stores {
			cpu, err := processCPU(store)
			if err != nil {
				return u, err
			}
			rss, err := residentMemory(store)
			if err != nil {
				return u, err
			}
			sum += cpu
			u.RSS += rss
		}
		u.StoreCPU = &sum
		u.CPU += sum
	}
	if figures, err := scrape(ctx, "http://"+s.address+"/metrics"); err == nil {
		u.Used, u.Reserved = figures.used(), figures.reserved()
	}
	return u, nil
}

// Stop ends the server and what was started for it, and removes what they wrote.
func (s *Self) Stop() error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Process.Signal(syscall.SIGKILL) // nothing of it is kept
		<-s.exited
	}
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
