package arrival

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the kernel says, nothing came in the future or long ago.
func TestStampsBecomeOurTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "now"))
		clock := Clock{ahead: rapid.Int64Range(1, 1<<61).Draw(t, "ahead")}
		age := time.Duration(rapid.Int64Range(-2e9, 2e9).Draw(t, "age"))
		stamp := clock.ahead + int64(now-age)
		want := now
		if age >= 0 && age <= longestUnread && stamp != 0 {
			want = now - age
		}
		if got := clock.Since(stamp, now); got != want {
			t.Fatalf("%v ago becomes %v ago", age, now-got)
		}
		if got := clock.Since(0, now); got != now {
			t.Fatalf("without a stamp: %v ago", now-got)
		}
	})
}

// The difference of the clocks is that of the day and the epoch, and is renewed.
func TestTheClockFollowsTheDay(t *testing.T) {
	epoch := time.Now()
	clock := NewClock(epoch)
	clock.Sync(0)
	if d := time.Duration(clock.ahead - epoch.UnixNano()); d.Abs() > time.Second {
		t.Errorf("%v from the epoch", d)
	}
	clock.ahead += int64(time.Hour)
	set := clock.ahead
	clock.Sync(resync / 2)
	if clock.ahead != set {
		t.Error("renewed too early")
	}
	clock.Sync(resync)
	if clock.ahead == set {
		t.Error("not renewed")
	}
}
