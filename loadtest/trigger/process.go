package trigger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/starling-vr/starling/internal/child"
)

// ProcessCommand are the arguments with which this program is a test's process.
var ProcessCommand = []string{"loadtest", "trigger-process"}

// message is a line that a test's process writes.
type message struct {
	Progress *Progress `json:"progress,omitempty"`
	Result   *Result   `json:"result,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Serve is what a test's process does: it reads the Spec from in as JSON, runs it,
// and writes what goes on to out.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	encoder := json.NewEncoder(out)
	var spec Spec
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return fmt.Errorf("the test's process got no specification: %w", err)
	}
	result, err := Run(ctx, spec, func(p Progress) { _ = encoder.Encode(message{Progress: &p}) })
	if err != nil {
		return encoder.Encode(message{Error: err.Error()})
	}
	return encoder.Encode(message{Result: result})
}

// Process runs a test in a process of its own: binary, which is this program if it
// is "", started with ProcessCommand.
func Process(ctx context.Context, binary string, spec Spec, watch func(Progress)) (*Result, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	// What the process keeps in files goes with it, also when it is killed.
	folder, err := os.MkdirTemp("", "starling-trigger-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	cmd := exec.Command(binary, ProcessCommand...)
	cmd.Env = append(os.Environ(), "TMPDIR="+folder)
	cmd.Stdin = strings.NewReader(string(text))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	cmd.Stdout = writer
	process, err := child.Start(cmd)
	writer.Close()
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = process.Signal(syscall.SIGKILL) })()
	result, err := read(reader, watch)
	<-process.Exited()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if result == nil && complaints.Len() > 0 {
		err = errors.Join(err, fmt.Errorf("the test's process says:\n%s", complaints.String()))
	}
	return result, err
}

// mostLine bounds a line of a test's process.
const mostLine = 16 << 20

// read reads what a test's process writes, up to its result or error.
func read(in io.Reader, watch func(Progress)) (*Result, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, mostLine)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("the test's process wrote %.100q: %w", lines.Text(), err)
		}
		switch {
		case m.Result != nil:
			return m.Result, nil
		case m.Error != "":
			return nil, errors.New(m.Error)
		case m.Progress != nil && watch != nil:
			watch(*m.Progress)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("the test's process ended without a result")
}
