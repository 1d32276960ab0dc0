//go:build !linux

package yardstick

import (
	"context"
	"errors"
)

// Serve needs Linux (epoll).
func Serve(context.Context, string, Options, func(address string)) error {
	return errors.ErrUnsupported
}
