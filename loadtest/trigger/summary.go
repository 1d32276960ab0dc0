package trigger

import (
	"fmt"
	"io"
	"time"
)

// Summarize says what matters in a few lines.
func Summarize(out io.Writer, r *Result) error {
	var err error
	say := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(out, format+"\n", args...)
		}
	}
	offered := "as many as could be decided"
	if r.OfferedPerS != nil {
		offered = perSecond(*r.OfferedPerS) + " offered"
	}
	say("%s: Op %d, S_t %d B, L_t %v, %s kernels, %d %s pollers, %d records each in %s",
		r.Network, r.Op, r.SizeBytes, time.Duration(r.LimitNS), r.Instructions, r.Pollers, r.Poller, r.Records, r.Place)
	say("%s decided (%s), %.2f records a batch, pollers busy %.0f %%", perSecond(r.RatePerS), offered, r.PerBatch, 100*r.BusyShare)
	if r.OfferedPerS != nil {
		say("%-12s %9s %9s %9s %9s %9s %9s %9s", "within", "150 ns", "300 ns", "1 us", "3 us", "30 us", "p50 ns", "p99 ns")
		row := func(name string, w Within, p50, p99 string) {
			say("%-12s %9s %9s %9s %9s %9s %9s %9s", name, percent(w.NS150), percent(w.NS300), percent(w.US1), percent(w.US3), percent(w.US30), p50, p99)
		}
		row("network", r.Within, fmt.Sprint(r.LatencyNS.P50), fmt.Sprint(r.LatencyNS.P99))
		row("empty loop", r.EmptyLoop, fmt.Sprint(r.EmptyNS.P50), fmt.Sprint(r.EmptyNS.P99))
		row("of it", r.OfEmpty, "", "")
		say("missed %d of %d (%d lost, %d failed); %d gave way to records that could still make the limit", r.Missed, r.Due, r.Lost, r.Failed, r.PutOff)
	}
	say("selected %d, through the secondary chain %d, lost before it %d; samples %d, lost %d; weights swapped %d times",
		r.Selected, r.ChainCompleted, r.SelectedLost, r.Samples, r.SamplesLost, r.Swaps)
	if r.Contract != "" {
		say("not guaranteed: %s", r.Contract)
	}
	for _, note := range r.Notes {
		say("note: %s", note)
	}
	for _, limit := range r.Machine.Limits {
		say("limited by: %s", limit)
	}
	if r.OfferedPerS != nil {
		met := "NOT MET"
		if r.Met {
			met = "met"
		}
		say("requirement (rates held, nothing past %v): %s", time.Duration(r.LimitNS), met)
	}
	return err
}
