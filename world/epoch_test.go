package world_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/world"
)

// The epochs of a store that is lost and begun again go on above all that it
// gave, if its shards were claimed less than once a second.
func TestEpochsOfALostStoreAreLarger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Unix(rapid.Int64Range(1_800_000_000, 3_000_000_000).Draw(t, "begin"), 0)
		lived := rapid.Int64Range(2, 1<<29).Draw(t, "seconds that the store lived")
		claims := rapid.Int64Range(1, lived-1).Draw(t, "claims")
		last := int64(world.FirstEpoch(begin)) + claims
		if next := int64(world.FirstEpoch(begin.Add(time.Duration(lived)*time.Second))) + 1; next <= last {
			t.Fatalf("the lost store gave %d, the next one begins with %d", last, next)
		}
	})
}

func TestFirstEpochOfClocksThatAreOff(t *testing.T) {
	for at, want := range map[time.Time]uint32{
		{}: 0, time.Unix(0, 0): 0, time.Unix(1<<40, 0): 1 << 31,
		time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC): 60,
	} {
		if got := world.FirstEpoch(at); got != want {
			t.Errorf("%v: %d, want %d", at, got, want)
		}
	}
}
