package calibrate

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// What the machine takes time for is found, whatever it is.
func TestProbes(t *testing.T) {
	wake, err := wakeTime(t.Context(), 10)
	if err != nil || wake <= 0 {
		t.Errorf("waking takes %v, %v", wake, err)
	}
	syncs, err := syncTimes(t.Context(), t.TempDir(), 20*time.Millisecond)
	if err != nil || len(syncs.At) == 0 {
		t.Errorf("waiting for the disk: %+v, %v", syncs, err)
	}
	if moves, err := moveShare(t.Context(), 10); err != nil || !(moves >= 0 && moves <= 1) {
		t.Errorf("threads go elsewhere %v of the times, %v", moves, err)
	}
	s := stalls(t.Context(), runtime.NumCPU(), 20*time.Millisecond)
	for _, microseconds := range s.Time.US {
		if microseconds < float64(shortestStall/time.Microsecond) {
			t.Errorf("%+v", s)
		}
	}
}

func TestProbesEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe(ctx, t.TempDir(), true); err == nil {
		t.Error("probes went on")
	}
	if _, err := syncTimes(t.Context(), "/nonexistent", time.Millisecond); err == nil {
		t.Error("a folder that is not there was written to")
	}
}
