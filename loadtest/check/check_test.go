package check_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/check"
)

// TestValidHistories: a world that keeps its promises is never accused.
func TestValidHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
		m := newModel(draw, 1+draw(3), 1+draw(4))
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			m.step()
		}
		for _, v := range check.Run(m.input(false)) {
			t.Errorf("under way: %v", v)
		}
		m.rest()
		for _, v := range check.Run(m.input(true)) {
			t.Errorf("at rest: %v", v)
		}
	})
}
