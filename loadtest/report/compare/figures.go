package compare

import "github.com/starling-vr/starling/loadtest/report"

// Direction says which way a figure is better.
type Direction int

// The directions.
const (
	Neither Direction = iota
	Higher
	Lower
)

// Figure is something that is compared.
type Figure struct {
	Name   string
	Unit   string // "" of shares
	Better Direction

	// A change must be larger than each of these to count.
	Least   float64 // absolute
	Several float64 // relative, with several runs on a side
	Single  float64 // relative, with one run on each: what two runs of the same thing differ by
	Lacking bool    // relative to what a share lacks of 1

	of     func(*report.Run) (float64, bool)
	within func(*report.Run) float64 // half of the 99 % interval of one run by itself
}

// Figures are all that are compared, with their noise.
var Figures = []Figure{
	shown("offered", "actions/s", func(r *report.Run) float64 { return r.OfferedPerS }),
	shown("achieved", "actions/s", func(r *report.Run) float64 { return r.AchievedPerS }),
	reached("achieved of the offered", 0.002, func(c *report.Counts) (int64, int64) { return c.Achieved, c.Offered }),
	reached("goodput of the offered", 0.005, func(c *report.Counts) (int64, int64) { return c.Goodput, c.Offered }),
	misses("deliveries missed", func(c *report.Counts) (int64, int64) { return c.DeliveriesMissed, c.DeliveriesExpected }),
	misses("deliveries missed at 30 ms", func(c *report.Counts) (int64, int64) { return c.DeliveriesMissed30MS, c.DeliveriesExpected }),
	misses("actions missed", func(c *report.Counts) (int64, int64) { return c.ActionsMissed, c.Offered }),
	shownRatio("deliveries conflated", func(c *report.Counts) (int64, int64) { return c.DeliveriesConflated, c.DeliveriesReceived }),
	latency("latency p50", func(r *report.Run) *report.Quantiles { return (*report.Quantiles)(&r.LatencyMS) }, p50, func(s *report.Second) float64 { return s.P50MS }),
	latency("latency p99", func(r *report.Run) *report.Quantiles { return (*report.Quantiles)(&r.LatencyMS) }, p99, func(s *report.Second) float64 { return s.P99MS }),
	latency("outcome p50", func(r *report.Run) *report.Quantiles { return r.OutcomeMS }, p50, nil),
	latency("outcome p99", func(r *report.Run) *report.Quantiles { return r.OutcomeMS }, p99, nil),
	{Name: "latency p99.9", Unit: "ms", of: func(r *report.Run) (float64, bool) { return r.LatencyMS.P999, r.LatencyMS.P999 > 0 }},
	processor("CPU per action", 0.5, func(s *report.Server) float64 { return s.CPUUSPerAction }),
	processor("CPU per delivery", 0.1, func(s *report.Server) float64 { return s.CPUUSPerDelivery }),
	memory(),
	bytesPerDelivery(),
}

func shown(name, unit string, of func(*report.Run) float64) Figure {
	return Figure{Name: name, Unit: unit, of: func(r *report.Run) (float64, bool) { return of(r), true }}
}

type counted func(*report.Counts) (part, whole int64)

func (f counted) share(c *report.Counts) (float64, bool) {
	part, whole := f(c)
	if whole == 0 {
		return 0, false
	}
	return float64(part) / float64(whole), true
}

func shownRatio(name string, f counted) Figure {
	return Figure{Name: name, of: func(r *report.Run) (float64, bool) { return f.share(&r.Counts) }}
}

// ratio varies by bursts: two runs of the same thing may differ by half of what
// is missed.
func ratio(name string, better Direction, least float64, f counted) Figure {
	return Figure{
		Name: name, Better: better, Least: least, Single: 0.5,
		of:     func(r *report.Run) (float64, bool) { return f.share(&r.Counts) },
		within: func(r *report.Run) float64 { return shareWithin(r, f) },
	}
}

func misses(name string, f counted) Figure { return ratio(name, Lower, 0.0005, f) }

func reached(name string, least float64, f counted) Figure {
	figure := ratio(name, Higher, least, f)
	figure.Lacking = true
	return figure
}

func p50(q *report.Quantiles) float64 { return q.P50 }
func p99(q *report.Quantiles) float64 { return q.P99 }

// latency is judged by the logarithms of the seconds' own quantiles.
func latency(name string, in func(*report.Run) *report.Quantiles, of func(*report.Quantiles) float64, second func(*report.Second) float64) Figure {
	return Figure{
		Name: name, Unit: "ms", Better: Lower, Least: 0.1, Several: 0.03, Single: 0.2,
		of: func(r *report.Run) (float64, bool) {
			if q := in(r); q != nil && of(q) > 0 {
				return of(q), true
			}
			return 0, false
		},
		within: func(r *report.Run) float64 {
			if second == nil {
				return 0
			}
			return quantileWithin(r, of(in(r)), second)
		},
	}
}

func processor(name string, least float64, of func(*report.Server) float64) Figure {
	return Figure{
		Name: name, Unit: "µs", Better: Lower, Least: least, Several: 0.03, Single: 0.2,
		of: func(r *report.Run) (float64, bool) {
			if r.Server == nil || of(r.Server) == 0 {
				return 0, false
			}
			return of(r.Server), true
		},
		within: func(*report.Run) float64 { return 0 },
	}
}

func memory() Figure {
	return Figure{
		Name: "resident memory", Unit: "MiB", Better: Lower, Least: 4, Several: 0.03, Single: 0.1,
		of: func(r *report.Run) (float64, bool) {
			if r.Server == nil || r.Server.RSSBytes == 0 {
				return 0, false
			}
			return float64(r.Server.RSSBytes) / (1 << 20), true
		},
		within: func(*report.Run) float64 { return 0 },
	}
}

func bytesPerDelivery() Figure {
	return Figure{
		Name: "bytes per delivery", Unit: "bytes", Better: Lower, Least: 1, Several: 0.02, Single: 0.05,
		of: func(r *report.Run) (float64, bool) {
			if r.DeliveriesReceived == 0 || r.BytesReceived == 0 {
				return 0, false
			}
			return float64(r.BytesReceived) / float64(r.DeliveriesReceived), true
		},
		within: func(*report.Run) float64 { return 0 },
	}
}
