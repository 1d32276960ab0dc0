package service

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
)

// The way settles where few sendings take longer, wherever it comes from.
func TestWayLearnsAHighQuantile(t *testing.T) {
	var w way
	random := rand.New(rand.NewPCG(1, 2))
	for _, mean := range []time.Duration{time.Millisecond, 4 * time.Millisecond, 500 * time.Microsecond} {
		longer := 0
		const settle, judged = 20_000, 20_000
		for i := range settle + judged {
			d := time.Duration(random.ExpFloat64() * float64(mean))
			if i >= settle && d > time.Duration(w.learned.Load()) {
				longer++
			}
			w.took(d)
		}
		if share := float64(longer) / judged; share > 0.02 || share < 0.001 {
			t.Errorf("mean %v: %.2f %% took longer than learned, want about %g %%", mean, 100*share, 100*wayShare)
		}
	}
}

func TestReserveIsBounded(t *testing.T) {
	var w way
	if r := w.reserve(100*time.Millisecond, false); r != pollTime {
		t.Errorf("nothing learned: %v", r)
	}
	if r := w.reserve(100*time.Millisecond, true); r != stampTime {
		t.Errorf("nothing learned, and the kernel told when it came: %v", r)
	}
	for range 1000 {
		w.took(time.Second)
	}
	if r := w.reserve(100*time.Millisecond, false); r != 40*time.Millisecond {
		t.Errorf("a second learned: %v", r)
	}
	for range 1_000_000 {
		w.took(0)
	}
	if r := w.reserve(100*time.Millisecond, false); r != pollTime {
		t.Errorf("unlearned: %v", r)
	}
}

// A line's time is that of the read that brought its first byte.
func TestArrivalIsOfTheFirstByte(t *testing.T) {
	at := invoke.Instant(0)
	now := func() invoke.Instant { at++; return at }
	a := &arrivals{body: iotest.OneByteReader(strings.NewReader("abc")), now: now}
	read := func(n int) {
		if _, err := io.ReadFull(a, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	a.begin(false)
	if read(2); a.first != 1 {
		t.Errorf("first byte at %d, want 1", a.first)
	}
	a.begin(true) // the next line came in part with the last read
	if read(1); a.first != 2 {
		t.Errorf("a line that was there began at %d, want 2", a.first)
	}
}

// What lay in the socket came when it came, but not while the stream took nothing.
func TestArrivalIsWhenTheKernelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := invoke.Instant(rapid.Int64Range(1e9, 1e12).Draw(t, "now"))
		age := time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "age"))
		known := rapid.Bool().Draw(t, "known")
		refused := invoke.Instant(rapid.Int64Range(0, 1e12).Draw(t, "refused"))
		a := &arrivals{
			body: strings.NewReader("x"), now: func() invoke.Instant { return now }, refused: refused,
			age: func() (time.Duration, bool) { return age, known },
		}
		if _, err := a.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		want := max(now.Add(-age), min(refused, now))
		if a.first != want || a.first > now || a.stamped != known {
			t.Fatalf("came at %d, want %d", a.first, want)
		}
	})
}
