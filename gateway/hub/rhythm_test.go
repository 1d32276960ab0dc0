package hub

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A hub that is not in a hurry does in one turn what comes within a moment, and
// leaves nothing lying.
func TestWhatComesWithinAMomentSharesATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		h := b.hubs.hubs[0]
		go h.run()
		defer func() {
			close(h.stop)
			<-h.stopped
		}()
		synctest.Wait()
		for round := range 20 {
			hurried := round%2 == 0
			h.slack.allowed.Store(!hurried)
			var done atomic.Int32
			for range 3 {
				h.call(func() { done.Add(1) })
				synctest.Wait()
				if now := done.Load(); !hurried && now != 0 {
					t.Fatalf("%d calls in a hurry", now)
				}
			}
			<-time.After(moment)
			synctest.Wait()
			if done.Load() != 3 {
				t.Fatalf("hurried %v: %d of 3 calls a moment later", hurried, done.Load())
			}
		}
	})
}

// Once all of a moment is told a hub turns without waiting for its end, and those
// that nobody left anything stay asleep.
func TestWhatIsToldNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		h := b.hubs.hubs[0]
		for _, h := range b.hubs.hubs {
			go h.run()
			defer func() {
				close(h.stop)
				<-h.stopped
			}()
			synctest.Wait()
			h.slack.allowed.Store(true)
		}
		for range 20 {
			began := time.Now()
			done := 0
			for range 3 {
				h.call(func() { done++ })
			}
			synctest.Wait()
			if done != 0 {
				t.Fatalf("%d calls before all was told", done)
			}
			b.hubs.Told()
			synctest.Wait()
			if waited := time.Since(began); done != 3 || waited != 0 {
				t.Fatalf("%d of 3 calls after %v", done, waited)
			}
			b.hubs.Told()
			synctest.Wait()
			if woken := len(h.wake) + len(b.hubs.hubs[1].wake); woken != 0 || h.slack.pending.Load() {
				t.Fatal("a wake-up is left over")
			}
		}
	})
}

func TestRhythm(t *testing.T) {
	now := time.Now()
	var r rhythm
	turn := func(every, wait time.Duration) (ahead time.Duration) {
		for range 50 {
			now = now.Add(every)
			ahead = r.turn(now, true, wait)
			if a := r.turn(now.Add(every/2), false, wait); a != 0 {
				t.Fatalf("a turn without messages flushes %v ahead", a)
			}
		}
		return ahead
	}
	if ahead := turn(3*time.Millisecond, 10*time.Millisecond); ahead < 2900*time.Microsecond || ahead > 3100*time.Microsecond {
		t.Errorf("with rounds of 3 ms it flushes %v ahead", ahead)
	}
	if ahead := turn(3*time.Millisecond, 2*time.Millisecond); ahead != 0 {
		t.Errorf("when flushes hardly wait it flushes %v ahead", ahead)
	}
	if ahead := turn(5*time.Millisecond, 10*time.Millisecond); ahead < 4900*time.Microsecond || ahead > 5100*time.Microsecond {
		t.Errorf("with rounds of 5 ms it flushes %v ahead", ahead)
	}
	if ahead := turn(20*time.Millisecond, 10*time.Millisecond); ahead != 0 {
		t.Errorf("with commits each 20 ms it flushes %v ahead", ahead)
	}
}
