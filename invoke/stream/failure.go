package stream

import (
	"fmt"
	"runtime/debug"
)

// PanicError says that a function panicked and what became of nothing because of it.
type PanicError struct {
	// Function is the name of the function.
	Function string
	// Version is that of the Program.
	Version uint64
	// Kernel is the size of the kernel; 0 for a function behind an outlet.
	Kernel int
	// Sequence is the first record of its poller that was lost to it, Records how
	// many were.
	Sequence uint64
	Records  int
	// Value is what it panicked with, Stack where.
	Value any
	Stack []byte
}

func newPanicError(function string, version uint64, kernel int, sequence uint64, records int, value any) *PanicError {
	return &PanicError{
		Function: function, Version: version, Kernel: kernel, Sequence: sequence, Records: records,
		Value: value, Stack: debug.Stack(),
	}
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("stream: %s (version %d) panicked at %d records from %d on: %v", e.Function, e.Version, e.Records, e.Sequence, e.Value)
}

// Unwrap gives the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// HungError says which pollers of a function Close left because the kernels that they are
// in do not return. Go cannot stop those.
type HungError struct {
	// Function is the name of the function.
	Function string
	// Pollers are the indexes of the pollers, and of their sources.
	Pollers []int
}

func (e *HungError) Error() string {
	return fmt.Sprintf("stream: %s: closed, but the kernels of pollers %v hang", e.Function, e.Pollers)
}

// pendingErrors is how many errors may wait to be told; more are counted only.
const pendingErrors = 64

// report tells an error later, by another goroutine, if there is room; only then is
// it made.
func (f *Function) report(make func() error) {
	if len(f.errors) == cap(f.errors) {
		return
	}
	select {
	case f.errors <- make():
	default:
	}
}
