package together

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/starling-vr/starling/internal/child"
	"github.com/starling-vr/starling/internal/priority"
)

// Runner starts load testers.
type Runner struct {
	// Binary is the program that has the subcommand loadtest.
	Binary string
	// Dir is where results lie while they are read.
	Dir string
	// Environment of the testers, as for [os/exec.Cmd]; nil: this process's.
	Environment []string
	// Tell hears a line for each tester that is started.
	Tell func(line string)
}

// notMet is the exit status of a tester whose requirement was not met: its result
// is as good as another.
const notMet = 3

// endTime is how long a tester may take to end its own processes.
const endTime = 10 * time.Second

// Run runs the tester with the given arguments and reads its result into into.
func (r *Runner) Run(ctx context.Context, name string, arguments []string, into any) error {
	return r.RunAs(ctx, priority.Priority{}, name, arguments, into)
}

// RunAs does it with a priority, which the servers and stores that the tester starts
// have as well. Where the system does not have it, the line that is told says so.
func (r *Runner) RunAs(ctx context.Context, as priority.Priority, name string, arguments []string, into any) error {
	path := filepath.Join(r.Dir, name+".json")
	r.Tell("starling loadtest " + strings.Join(arguments, " "))
	cmd := exec.Command(r.Binary, append(append([]string{"loadtest"}, arguments...), "--json", path)...)
	cmd.Env = r.Environment
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	process, err := child.StartFrom(cmd, func() error {
		if err := as.Thread(); err != nil {
			r.Tell(fmt.Sprintf("%s has no priority of its own: %v", name, err))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	select {
	case <-process.Exited():
	case <-ctx.Done():
		_ = process.Signal(syscall.SIGTERM)
		select {
		case <-process.Exited():
		case <-time.After(endTime):
			_ = process.End(syscall.SIGKILL)
		}
		return context.Cause(ctx)
	}
	if err := process.Status(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != notMet {
			return fmt.Errorf("%s: %w: %s", name, err, lastLines(said.String()))
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: it left no result: %w: %s", name, err, lastLines(said.String()))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: its result: %w", name, err)
	}
	return nil
}

// lastLines are the end of what a program said.
func lastLines(said string) string {
	const most = 5
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return strings.Join(slices.DeleteFunc(lines[max(0, len(lines)-most):], func(s string) bool { return s == "" }), "; ")
}
