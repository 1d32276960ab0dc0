package hub

import "testing"

// Hubs read a cell each by itself: after a take-over one may know the new
// owner before the other. A client that comes over is not shown the past.
func TestAnImageBehindTheConnectionWaits(t *testing.T) {
	c := &cell{epoch: 1, sequence: 300}
	from := &watch{cell: &cell{epoch: 2, sequence: 267}}
	from.remember(267, 0)
	w := &watch{cell: c, known: true, floor: from.told().position}
	for _, at := range []struct {
		epoch    uint32
		sequence uint64
		behind   bool
	}{{1, 300, true}, {2, 266, true}, {2, 267, false}, {3, 1, false}} {
		c.epoch, c.sequence = at.epoch, at.sequence
		if w.behind() != at.behind {
			t.Errorf("image at %d of epoch %d, the connection at 267 of epoch 2: behind %v", at.sequence, at.epoch, w.behind())
		}
		if again := w.told().position; again != w.floor {
			t.Errorf("before it was given anything it tells %v on", again)
		}
	}
	w.remember(c.sequence, 0)
	if w.behind() || w.told().position != (position{3, 1, 0}) {
		t.Errorf("once it was given something it is at %v", w.told())
	}
}
