package invoke

import "time"

const (
	assumedRunTime = 100 * time.Microsecond
	estimateEvery  = 256
	estimateWindow = 4096
)

// estimate learns a function's run time from its recent runs: a histogram whose
// counts are halved every 4096 runs, read anew every 256 (and at 1, 2, 4, ... 128).
type estimate struct {
	recent Histogram
	seen   uint64
	p99    time.Duration // 0 until the first run
	median time.Duration
	mean   time.Duration
}

// record counts one run and says whether the figures were read anew.
func (e *estimate) record(d time.Duration) bool {
	e.recent.Record(d)
	e.seen++
	if e.seen%estimateEvery != 0 && (e.seen > estimateEvery || e.seen&(e.seen-1) != 0) {
		return false
	}
	e.p99, e.median, e.mean = e.recent.Quantile(0.99), e.recent.Quantile(0.5), e.recent.Mean()
	if e.recent.count >= estimateWindow {
		e.recent.Halve()
	}
	return true
}
