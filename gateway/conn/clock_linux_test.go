package conn

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the kernel says, nothing came in the future or long ago.
func TestStampsBecomeOurTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "now"))
		clock := wallClock{ahead: rapid.Int64Range(1, 1<<61).Draw(t, "ahead")}
		age := time.Duration(rapid.Int64Range(-2e9, 2e9).Draw(t, "age"))
		got := clock.since(clock.ahead+int64(now-age), now)
		want := now
		if age >= 0 && age <= longestUnread {
			want = now - age
		}
		if clock.ahead+int64(now-age) == 0 {
			want = now
		}
		if got != want {
			t.Fatalf("%v ago becomes %v ago", age, now-got)
		}
		if got := clock.since(0, now); got != now {
			t.Fatalf("without a stamp: %v ago", now-got)
		}
	})
}

// The difference of the clocks is renewed.
func TestTheClockFollowsTheDay(t *testing.T) {
	var clock wallClock
	at := time.Now()
	clock.sync(at)
	first := clock.ahead
	clock.ahead++
	clock.sync(at.Add(resync / 2))
	if clock.ahead != first+1 {
		t.Error("renewed too early")
	}
	clock.sync(at.Add(resync))
	if clock.ahead != first {
		t.Errorf("ahead by %d, want %d", clock.ahead, first)
	}
}
