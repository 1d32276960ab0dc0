package generator

import (
	"errors"
	"testing"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/generator/wire"
)

// The rules of docs/reference/protocol.md, "Watching", one after another on one
// connection.
func TestFramesBuildOnTheOnesBefore(t *testing.T) {
	var c client
	for i, f := range []struct {
		frame wire.CellFrame
		taken bool
		gap   bool
	}{
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, From: 4, Sequence: 5}},                              // without a baseline
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, Partial: true}},                                     // the same
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, Sequence: 5, Baseline: true}, taken: true},          //
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, From: 5, Sequence: 7}, taken: true},                 //
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, From: 5, Sequence: 7}},                              // again
		{frame: wire.CellFrame{Cell: 1, Epoch: 1, From: 7, Sequence: 8}},                              // of the owner before
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, From: 7, Sequence: 7}, taken: true},                 // thinned
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, Partial: true}, taken: true},                        // ahead of the chain
		{frame: wire.CellFrame{Cell: 1, Epoch: 3, Partial: true}},                                     // of another epoch
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, From: 8, Sequence: 9}, gap: true},                   //
		{frame: wire.CellFrame{Cell: 1, Epoch: 3, From: 7, Sequence: 8}, gap: true},                   //
		{frame: wire.CellFrame{Cell: 2, Epoch: 1, Sequence: 1, Baseline: true}, taken: true},          //
		{frame: wire.CellFrame{Cell: 1, Unwatched: true}},                                             //
		{frame: wire.CellFrame{Cell: 1, Epoch: 2, From: 7, Sequence: 9}},                              // no longer watched
		{frame: wire.CellFrame{Cell: 2, Epoch: 1, From: 1, Sequence: 2}, taken: true},                 //
		{frame: wire.CellFrame{Cell: 2, Epoch: 9, From: 0, Sequence: 3, Baseline: true}, taken: true}, //
	} {
		taken, err := c.position(&f.frame)
		if taken != f.taken || errors.Is(err, errGap) != f.gap {
			t.Errorf("frame %d: taken %v, %v", i, taken, err)
		}
	}
	if len(c.cells) != 1 || c.cells[0] != (cellState{cell: 2, epoch: 9, sequence: 3}) {
		t.Errorf("%+v", c.cells)
	}
}

func TestNamedPauses(t *testing.T) {
	for reason, want := range map[string]string{
		"reconnect in 1.5s: draining": "1.5s", "reconnect in 250ms": "250ms", "reconnect in 0.00s: full": "0s",
		"go away": "", "reconnect in soon: x": "", "reconnect in -1s: x": "",
	} {
		got, ok := namedPause(reason)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v %v", reason, got, ok)
		}
	}
}

// Connections that end for the same reason are counted as one reason.
func TestReasonsWithoutTheirPauses(t *testing.T) {
	expired := int(starlingv1.CloseCode_TOKEN_EXPIRED)
	for reason, want := range map[string]string{
		"reconnect in 1.04s: token expired": "closed with TOKEN_EXPIRED: token expired",
		"reconnect in 0s":                   "closed with TOKEN_EXPIRED: ",
		"token expired":                     "closed with TOKEN_EXPIRED: token expired",
	} {
		if got := withoutPause(&closedError{expired, reason}); got != want {
			t.Errorf("%q: %q, want %q", reason, got, want)
		}
	}
	if got := withoutPause(errHandshake); got != errHandshake.Error() {
		t.Error(got)
	}
}
