package crowd

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Latency measures the time from an action, when it was due to be sent, to each
// update or event that shows it, at the actor and at everybody else in the same
// process.
type Latency struct {
	deadline time.Duration

	mu       sync.Mutex
	due      map[actionKey]time.Time
	seen     *hdrhistogram.Histogram // microseconds, at all who watch
	told     *hdrhistogram.Histogram // microseconds, outcome at the actor
	late     int64
	actions  int64
	watching bool
}

type actionKey struct{ avatar, number uint64 }

// NewLatency makes an empty measurement that counts what is later than deadline.
func NewLatency(deadline time.Duration) *Latency {
	return &Latency{
		deadline: deadline, due: make(map[actionKey]time.Time),
		seen: hdrhistogram.New(1, 60_000_000, 3), told: hdrhistogram.New(1, 60_000_000, 3),
	}
}

// Begin starts the measurement: what was due before does not count.
func (l *Latency) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching = true
}

func (l *Latency) sent(avatar, number uint64, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watching {
		l.actions++
		l.due[actionKey{avatar, number}] = due
	}
}

func (l *Latency) outcome(avatar, number uint64) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if due, ok := l.due[actionKey{avatar, number}]; ok {
		_ = l.told.RecordValue(now.Sub(due).Microseconds())
	}
}

func (l *Latency) frame(f *starlingv1.CellFrame, received time.Time) {
	if f.Baseline {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, commit := range f.Commits {
		for _, step := range commit.Steps {
			key := actionKey{step.GetUpdate().GetBy(), step.GetUpdate().GetNumber()}
			if event := step.GetEvent(); event != nil {
				key = actionKey{event.Actor, event.Number}
			}
			due, ok := l.due[key]
			if !ok {
				continue
			}
			took := received.Sub(due)
			_ = l.seen.RecordValue(max(took.Microseconds(), 1))
			if took > l.deadline {
				l.late++
			}
		}
	}
}

// Percentiles of a distribution, in microseconds.
type Percentiles struct {
	Count                     int64
	P50, P90, P99, P999, Most int64
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	return Percentiles{
		Count: h.TotalCount(), P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90),
		P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9), Most: h.Max(),
	}
}

// Figures is what was measured.
type Figures struct {
	Actions  int64
	Seen     Percentiles // at everybody who was told
	Told     Percentiles // outcomes
	LateRate float64     // share of deliveries later than the deadline
}

// Figures gives what was measured so far.
func (l *Latency) Figures() Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := Figures{Actions: l.actions, Seen: percentiles(l.seen), Told: percentiles(l.told)}
	if n := l.seen.TotalCount(); n > 0 {
		f.LateRate = float64(l.late) / float64(n)
	}
	return f
}
