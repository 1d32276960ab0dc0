package calibrate

import (
	"context"
	"time"

	"github.com/starling-vr/starling/loadtest/report"
)

// quietFor is how long a machine must have been quiet to be taken for quiet.
const quietFor = 2 * time.Second

// awaitQuiet waits until the machine was no busier than so many cores, or as long
// as patience allows.
func awaitQuiet(ctx context.Context, cores float64, patience time.Duration) error {
	until := time.Now().Add(patience)
	for patience > 0 && time.Now().Before(until) {
		before, known := report.ReadCPUTimes()
		if !known {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quietFor):
		}
		if after, _ := report.ReadCPUTimes(); after.Busy-before.Busy <= cores*quietFor.Seconds() {
			return nil
		}
	}
	return nil
}
