//go:build !linux

package server

import "errors"

// beNice is for Linux.
func beNice(int) error { return errors.New("only Linux has it here; use nice(1)") }
