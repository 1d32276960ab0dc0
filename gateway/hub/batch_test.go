package hub

import (
	"slices"
	"testing"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// An avatar goes through three cells in one batch; what the cells tell of it has
// one version, and comes in any order, by messages or baselines. Guards against
// a client left where its avatar was on its way.
func TestAnAvatarThatCrossesCellsInOneBatchIsFoundWhereItEnds(t *testing.T) {
	const avatar = 7
	left := func(to world.Cell) *starlingv1.Step {
		s := stateStep(avatar, starlingv1.Change_LEFT, 11)
		s.GetUpdate().To = uint64(to)
		return s
	}
	entered := func() *starlingv1.Step { return stateStep(avatar, starlingv1.Change_ENTERED, 11) }
	for _, order := range [][]int{{1, 2, 3}, {3, 1, 2}, {3, 2, 1}, {2, 3, 1}, {1, 3, 2}, {2, 1, 3}} {
		b := newBench(t, 1)
		c, _ := b.join(avatar, cellAt(1), 3)
		b.confirm()
		for i := -2; i <= 4; i++ {
			if i == 1 {
				b.answer(cellAt(i), 10, stateStep(avatar, starlingv1.Change_PRESENT, 10))
			} else {
				b.answer(cellAt(i), 10)
			}
		}
		told := map[int]pubsub.Message{
			1: b.message(cellAt(1), 10, 11, left(cellAt(2))),
			2: b.message(cellAt(2), 10, 11, entered(), left(cellAt(3))),
			3: b.message(cellAt(3), 10, 11, entered()),
		}
		for _, i := range order {
			b.publish(told[i])
		}
		for i := range 7 { // what was opened since
			b.confirm()
			b.answer(cellAt(i), 11)
		}
		if c.cell != cellAt(3) {
			t.Errorf("told in order %v it is held to be in cell %d, it is in 3", order, indexOf(c.cell))
		}
		if watched := watchedBy(c); !slices.Contains(watched, cellAt(6)) || slices.Contains(watched, cellAt(-1)) {
			t.Errorf("told in order %v it watches %v", order, watched)
		}
	}
}

// The outcome of an action says where the avatar is before the bus, which comes
// back after a break, tells how it got there. Guards against a client taken back
// onto the way.
func TestTheWayOfAnAvatarDoesNotTakeBackWhereItIs(t *testing.T) {
	const avatar = 7
	b := newBench(t, 1)
	c, _ := b.join(avatar, cellAt(1), 1)
	b.confirm()
	for i := range 3 {
		b.answer(cellAt(i), 10)
	}
	c.Moved(cellAt(3))
	b.turn()
	if b.hubs.hubs[0].cells[cellKey{0, cellAt(2)}] == nil {
		t.Fatal("the cell on the way is not watched: the test shows nothing")
	}
	h := b.hubs.hubs[0]
	h.see(sighting{avatar: avatar, from: cellAt(1), cell: cellAt(2), version: world.Version{Epoch: 1, Sequence: 11}})
	h.followSightings()
	b.turn()
	if c.cell != cellAt(3) {
		t.Errorf("it is held to be in cell %d, it is in 3", indexOf(c.cell))
	}
}

func watchedBy(c *Client) (cells []world.Cell) {
	for _, w := range c.watches {
		cells = append(cells, w.cell.key.cell)
	}
	return cells
}
