package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/starling-vr/starling/internal/child"
)

// Process is one `starling serve`. It is ended with the process that started
// it, whatever becomes of that.
type Process struct {
	Name   string // its id in the region
	Listen string // host:port of websocket, health and metrics
	Peer   string // host:port of the peer port itself, past any proxy

	binary    string
	arguments []string
	logs      string // file that all its runs write to

	mu    sync.Mutex
	child *child.Process // nil: it was ended
	last  *child.Process // that was started
}

// Start starts the process, again on the same addresses, and waits until it is
// ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return err
	}
	return poll(ctx, p.Name+" to be ready", func() (bool, error) {
		select {
		case <-p.Exited():
			return false, fmt.Errorf("%s ended: %w\n%s", p.Name, p.last.Status(), p.Tail(20))
		default:
		}
		reply, err := get(ctx, "http://"+p.Listen+"/readyz")
		if err != nil {
			return false, nil
		}
		_ = reply.Close()
		return true, nil
	})
}

func (p *Process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	logs, err := os.OpenFile(p.logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logs.Close()
	cmd := exec.Command(p.binary, p.arguments...)
	cmd.Stdout, cmd.Stderr = logs, logs
	cmd.Dir = filepath.Dir(p.logs)
	started, err := child.Start(cmd)
	if err != nil {
		return err
	}
	p.child, p.last = started, started
	return nil
}

// Exited is closed when the present run ends.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Exited()
}

// Running says whether it was started and neither killed nor terminated since.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child != nil
}

// Kill ends it at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() error {
	if running := p.take(); running != nil {
		return running.End(syscall.SIGKILL)
	}
	return nil
}

// Terminate asks it to end (SIGTERM), waits until it is gone, and says so if it
// did not end well.
func (p *Process) Terminate(ctx context.Context) error {
	running := p.take()
	if running == nil {
		return nil
	}
	if err := running.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-running.Exited():
	case <-ctx.Done():
		_ = running.End(syscall.SIGKILL)
		return fmt.Errorf("%s did not stop when it was asked to: %w\n%s", p.Name, ctx.Err(), p.Tail(20))
	}
	if err := running.Status(); err != nil {
		return fmt.Errorf("%s stopped badly: %w\n%s", p.Name, err, p.Tail(20))
	}
	return nil
}

func (p *Process) take() *child.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := p.child
	p.child = nil
	return running
}

// Pause stops it without ending it (SIGSTOP).
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Continue lets it go on (SIGCONT).
func (p *Process) Continue() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return fmt.Errorf("%s does not run", p.Name)
	}
	return p.child.Signal(s)
}

// URL is its websocket endpoint, for gateways.
func (p *Process) URL() string { return "ws://" + p.Listen + "/v1/ws" }

// Metrics reads its metrics: those without labels, and the sums and counts of
// histograms, by name.
func (p *Process) Metrics(ctx context.Context) (map[string]float64, error) {
	body, err := get(ctx, "http://"+p.Listen+"/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	values := make(map[string]float64)
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, value, found := strings.Cut(lines.Text(), " ")
		if !found || strings.HasPrefix(name, "#") || strings.Contains(name, "{") {
			continue
		}
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = number
		}
	}
	return values, lines.Err()
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		cancel()
		return nil, err
	}
	body := &cancelled{reply.Body, cancel}
	if reply.StatusCode != http.StatusOK {
		_ = body.Close()
		return nil, fmt.Errorf("%s: %s", url, reply.Status)
	}
	return body, nil
}

// cancelled ends the request's context with its body.
type cancelled struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelled) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

// Tail gives the last lines of what the process wrote.
func (p *Process) Tail(n int) string {
	data, err := os.ReadFile(p.logs)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// poll asks until done says yes or ctx ends.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
