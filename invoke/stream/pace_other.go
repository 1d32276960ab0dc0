//go:build !linux

package stream

import (
	"errors"
	"runtime"
	"time"
)

// AllowedCores lists the processors that this process may use, ascending; empty if
// the system does not tell.
func AllowedCores() []int { return nil }

func pinThread(int) error { return errors.ErrUnsupported }

func niceThread(int) error { return errors.ErrUnsupported }

func sharpenTimer() {}

func yieldCore() { runtime.Gosched() }

func sleepThread(d time.Duration) { time.Sleep(d) }
