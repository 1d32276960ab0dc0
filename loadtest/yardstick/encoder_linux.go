package yardstick

import (
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// chainSequence is where the chains of all cells stand, for ever: a frame that
// begins and ends at a client's own sequence is taken like any other (protocol,
// "Watching"), and there is nothing to count.
const (
	chainEpoch    = 1
	chainSequence = 1
)

// encoder makes frames for the wire, with messages and a buffer that are used
// again. The zero value is ready.
type encoder struct {
	encoded  []byte
	told     starlingv1.ServerMessage_Frame
	answered starlingv1.ServerMessage_Outcome
	message  starlingv1.ServerMessage
	frame    starlingv1.CellFrame
	commit   starlingv1.Steps
	outcome  starlingv1.Outcome
}

// reset begins anew; what was encoded before may not be used any more.
func (e *encoder) reset() { e.encoded = e.encoded[:0] }

// add appends a message as a websocket frame.
func (e *encoder) add(m *starlingv1.ServerMessage) {
	size := m.SizeVT()
	e.encoded = conn.AppendHeader(e.encoded, conn.OpBinary, size)
	begin := len(e.encoded)
	for cap(e.encoded) < begin+size {
		e.encoded = append(e.encoded[:cap(e.encoded)], 0)
	}
	e.encoded = e.encoded[:begin+size]
	_, _ = m.MarshalToSizedBufferVT(e.encoded[begin:]) // it fails for no message of ours
}

// addOutcome appends what becomes of an action.
func (e *encoder) addOutcome(number uint64, code starlingv1.Code, entity uint64) {
	e.outcome.Number, e.outcome.Code, e.outcome.Entity = number, code, entity
	e.answered.Outcome = &e.outcome
	e.message.Kind = &e.answered
	e.add(&e.message)
}

// addFrame appends what happened in a cell; of a baseline nothing is told: those
// who are there show as soon as they act.
func (e *encoder) addFrame(c *cell, baseline bool, steps ...*starlingv1.Step) {
	e.frame.Cell, e.frame.Place, e.frame.Epoch, e.frame.Baseline = uint64(c.id), c.place, chainEpoch, baseline
	e.frame.From, e.frame.Sequence = chainSequence, chainSequence
	e.commit.Steps = steps
	e.frame.Commits = e.frame.Commits[:0]
	if len(steps) > 0 {
		e.frame.Commits = append(e.frame.Commits, &e.commit)
	}
	e.told.Frame = &e.frame
	e.message.Kind = &e.told
	e.add(&e.message)
}

// addUnwatched appends that a cell left the view.
func (e *encoder) addUnwatched(c *cell) {
	e.add(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Frame{Frame: &starlingv1.CellFrame{
		Cell: uint64(c.id), Place: c.place, Epoch: chainEpoch, Sequence: chainSequence, Unwatched: true,
	}}})
}
