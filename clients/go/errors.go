package starling

import (
	"errors"
	"fmt"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// ErrTooManyInFlight: the window and the queue of unanswered actions are full.
var ErrTooManyInFlight = errors.New("starling: too many actions in flight")

// ErrClosed: the application closed the client.
var ErrClosed = errors.New("starling: client closed")

// ErrNotSent is in the chain of errors of actions that never went to the wire:
// they had no effect.
var ErrNotSent = errors.New("starling: the action was not sent")

// RefusedError is a final refusal: the action had no effect, and never will.
type RefusedError struct {
	Number  uint64
	Code    starlingv1.Code
	Message string // what to do about it, for people
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("starling: action %d refused: %v: %s", e.Number, e.Code, e.Message)
}

// UnknownFateError says that an action was sent, and that whether it took
// effect will not be known: its session is gone, or the client ended, or the
// caller stopped waiting.
type UnknownFateError struct {
	Number uint64
	Cause  error
}

func (e *UnknownFateError) Error() string {
	return fmt.Sprintf("starling: the fate of action %d is unknown: %v", e.Number, e.Cause)
}

func (e *UnknownFateError) Unwrap() error { return e.Cause }

// ErrSessionGone is the cause of UnknownFateError when nothing was left to
// resume.
var ErrSessionGone = errors.New("starling: session gone")

// CloseError is the gateway's close code.
type CloseError struct {
	Code   starlingv1.CloseCode
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("starling: closed by the gateway: %d %v: %s", int(e.Code), e.Code, e.Reason)
}

// Final says whether the code tells the client to stay away.
func (e *CloseError) Final() bool { return e.Code >= 4500 && e.Code <= 4999 }

// statusError is an answer to the upgrade request other than 101.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("starling: the gateway answered with HTTP status %d", e.status)
}

// final: a request that will be answered the same way next time.
func (e *statusError) final() bool {
	return e.status >= 400 && e.status < 500 && e.status != 408 && e.status != 425 && e.status != 429
}

// gapError: frames of a cell do not build on each other.
type gapError struct {
	cell uint64
	why  string
}

func (e *gapError) Error() string { return fmt.Sprintf("starling: cell %x: %s", e.cell, e.why) }
