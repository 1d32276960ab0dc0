package report

import (
	"math"
	"time"
)

// Second is one second of a run. What an action became, its deliveries and
// their latencies count in the second in which the action was due; processor
// time and connections in the second in which they were.
type Second struct {
	At float64 `json:"at_s" jsonschema:"seconds since the measured time began, at the end of this second"`
	Counts

	Nearest *NearestCounts `json:"nearest,omitempty" jsonschema:"the same of the nearest alone, where crowds are denser than that"`

	P50MS float64 `json:"p50_ms" jsonschema:"median latency of the received deliveries; null if there was none"`
	P99MS float64 `json:"p99_ms" jsonschema:"99th percentile"`
	MaxMS float64 `json:"max_ms" jsonschema:"largest"`

	Connected      int      `json:"connected" jsonschema:"participants connected at the end of the second"`
	ServerCPUS     *float64 `json:"server_cpu_s" jsonschema:"processor seconds of the server in this second; null if unknown"`
	ServerRSSBytes *int64   `json:"server_rss_bytes" jsonschema:"resident memory of the server; null if unknown"`
	GeneratorCPUS  float64  `json:"generator_cpu_s" jsonschema:"processor seconds of the load tester"`
	LagP99MS       float64  `json:"lag_p99_ms" jsonschema:"lag of the load tester, 99th percentile"`
}

// Latencies sets the quantiles from a histogram of microseconds.
func (s *Second) Latencies(h *Histogram) {
	q := h.milliseconds()
	s.P50MS, s.P99MS, s.MaxMS = q.P50, q.P99, q.Max
}

// length of the second: the last one of a run may be shorter.
func (s *Second) length() float64 {
	if part := s.At - math.Floor(s.At); part > 0 {
		return part
	}
	return 1
}

// perSecond gives a count of the second as a rate.
func (s *Second) perSecond(n int64) int64 { return int64(math.Round(float64(n) / s.length())) }

// Phase is what a run is doing.
type Phase string

// The phases of a run, in their order.
const (
	Starting   Phase = "starting"   // the server, if it is a child
	Connecting Phase = "connecting" // the participants
	WarmingUp  Phase = "warming up"
	Measuring  Phase = "measuring"
	Settling   Phase = "settling" // waiting for what is under way
	Done       Phase = "done"
)

// Snapshot is the state of a run at some moment, for whoever watches it; a
// generator gives one about every second, and one for each second that is settled.
type Snapshot struct {
	Title        string // of the run, e.g. "street, 16000/s, seed 1"; changes when the next run begins
	Phase        Phase
	Elapsed      time.Duration // since the phase began
	Length       time.Duration // of the phase; 0 if not known
	Participants int
	Second       Second         // one that is settled now: all of its actions are done, or past their grace; At is 0 if none is
	Total        Counts         // since the measured time began
	TotalNearest *NearestCounts // the same of the nearest; nil where no crowd is denser
	Warning      string         // what the reader should know now, e.g. that the generator lags; may be empty
}
