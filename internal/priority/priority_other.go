//go:build !linux

package priority

import "errors"

var errLinux = errors.New("only Linux has it here; use nice(1)")

// Process is for Linux.
func (p Priority) Process() error { return p.Thread() }

// Thread is for Linux.
func (p Priority) Thread() error {
	if p == (Priority{}) {
		return nil
	}
	return errLinux
}
