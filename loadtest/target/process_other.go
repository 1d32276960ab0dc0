//go:build !linux

package target

import (
	"errors"
	"syscall"
	"time"
)

func childAttributes() *syscall.SysProcAttr   { return nil }
func processCPU(int) (float64, error)         { return 0, errors.ErrUnsupported }
func residentMemory(int) (int64, error)       { return 0, errors.ErrUnsupported }
func processWaited(int) (time.Duration, bool) { return 0, false }
