package target

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// child is a starling process of ours.
type child struct {
	log     *slog.Logger
	cmd     *exec.Cmd
	address string // of its listener
	exited  chan struct{}

	mu       sync.Mutex
	serving  bool
	stopping bool
	last     []string // lines of its log, for when it does not come up
}

// startChild starts starling with these arguments and waits until it serves.
func startChild(ctx context.Context, binary string, arguments []string, log *slog.Logger) (*child, error) {
	c := &child{log: log, cmd: exec.Command(binary, arguments...), exited: make(chan struct{})}
	c.cmd.SysProcAttr = childAttributes()
	output, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	// The parent-death signal follows the thread that started the process, so
	// that thread lives as long as the process does.
	started, read := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			<-read
			_ = c.cmd.Wait()
		}
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	serving := make(chan string, 1)
	go func() {
		defer close(read)
		c.readLog(output, serving)
	}()
	select {
	case c.address = <-serving:
		return c, nil
	case <-c.exited:
		return nil, fmt.Errorf("the server ended before it served:\n%s", c.lastLines())
	case <-ctx.Done():
		c.stop()
		return nil, fmt.Errorf("the server does not serve: %w\n%s", ctx.Err(), c.lastLines())
	}
}

// readLog finds where the server listens, and passes on what it warns of.
func (c *child) readLog(from io.Reader, serving chan<- string) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Level   slog.Level `json:"level"`
			Message string     `json:"msg"`
			Listen  string     `json:"listen"`
		}
		text := lines.Text()
		var fields []slog.Attr
		if json.Unmarshal([]byte(text), &line) != nil {
			line.Level, line.Message = slog.LevelWarn, text
		} else {
			fields = fieldsOf(text)
		}
		if line.Message == "serving" && line.Listen != "" {
			select {
			case serving <- line.Listen:
			default:
			}
		}
		c.mu.Lock()
		c.serving = c.serving || line.Listen != ""
		quiet := c.stopping || !c.serving // what keeps it from coming up is told once
		if c.last = append(c.last, text); len(c.last) > 20 {
			c.last = c.last[1:]
		}
		c.mu.Unlock()
		if line.Level >= slog.LevelWarn && !quiet {
			c.log.LogAttrs(context.Background(), line.Level, "the server says: "+line.Message, fields...)
		}
	}
	_, _ = io.Copy(io.Discard, from) // a line too long: the server must not wait for a reader
}

// fieldsOf gives what a line of a log has beside time, level and message.
func fieldsOf(line string) (fields []slog.Attr) {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &all) != nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey:
			continue
		}
		value := string(all[key])
		var text string
		if json.Unmarshal(all[key], &text) == nil {
			value = text
		}
		fields = append(fields, slog.String(key, value))
	}
	return fields
}

func (c *child) lastLines() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.last, "\n")
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the process at once: nothing of it is kept.
func (c *child) stop() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	<-c.exited
}
