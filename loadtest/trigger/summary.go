package trigger

import (
	"fmt"
	"io"
	"strings"
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
	say("%s: Op %d, S_t %d B, L_t %v, %s kernels, %s, %d records each in %s",
		r.Network, r.Op, r.SizeBytes, time.Duration(r.LimitNS), r.Instructions, pollers(r.Pollers, r.Poller), r.Records, r.Place)
	say("%s decided (%s), %.2f records a batch, pollers busy %.0f %%", perSecond(r.RatePerS), offered, r.PerBatch, 100*r.BusyShare)
	if r.OfferedPerS != nil {
		say("%-12s %9s %9s %9s %9s %9s %9s %9s %9s", "within", "150 ns", "300 ns", "1 us", "3 us", "30 us", "L_t", "p50 ns", "p99 ns")
		row := func(name string, w Within, limit float64, p50, p99 any) {
			say("%-12s %9s %9s %9s %9s %9s %9s %9v %9v", name, percent(w.NS150), percent(w.NS300), percent(w.US1), percent(w.US3), percent(w.US30), percent(limit), p50, p99)
		}
		row("network", r.Within, r.InLimit, r.LatencyNS.P50, r.LatencyNS.P99)
		row("empty loop", r.EmptyLoop, r.EmptyLimit, r.EmptyNS.P50, r.EmptyNS.P99)
		row("of it", r.OfEmpty, r.WithinLimit(), "", "")
		say("missed %d of %d (%d lost, %d failed); %d gave way to records that could still make the limit", r.Missed, r.Due, r.Lost, r.Failed, r.PutOff)
	}
	say("selected %d, through the secondary chain %d (%d late), lost before it %d, refused in it %d, failed %d, unended %d",
		r.Selected, r.ChainCompleted, r.ChainLate, r.SelectedLost, r.ChainRefused, r.ChainFailed, r.ChainUnended)
	say("samples %d, each an invocation of updateModel (%d by its account), lost %d; weights swapped %d times", r.Samples, r.Updates, r.SamplesLost, r.Swaps)
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
		} else if len(r.Unmet) > 0 {
			met += ": " + strings.Join(r.Unmet, "; ")
		}
		say("requirement (rates held, nothing past %v): %s", time.Duration(r.LimitNS), met)
	}
	return err
}

// pollers counts them.
func pollers(count int, pace string) string {
	if count == 1 {
		return "1 " + pace + " poller"
	}
	return fmt.Sprintf("%d %s pollers", count, pace)
}
