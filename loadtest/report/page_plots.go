package report

import (
	"fmt"
	"math"

	"github.com/starling-vr/starling/loadtest/report/plot"
)

// The colours of the series, by what they show.
const (
	first  = 1
	second = 2
	third  = 3
	missed = 4
	quiet  = 5
)

// figures draws what a run measured.
func (p *page) figures(r *Run) {
	p.add(distribution(r))
	p.add(latencyOverTime(r))
	p.add(ratesOverTime(r))
	p.add(missesOverTime(r))
	p.add(processorOverTime(r))
	p.add(affected(r))
	p.add(work(r))
	p.add(gaps(r))
}

// shares are the points of a distribution plot: dense where it is drawn wide.
var shares = func() (all []float64) {
	for nines := 0.0; nines <= 6; nines += 0.05 {
		all = append(all, 1-math.Pow(10, -nines))
	}
	return all
}()

// quantileLine gives a distribution over the shares that its count can tell.
func quantileLine(h *Histogram) (points []plot.Point) {
	n := float64(h.Count())
	if n == 0 {
		return nil
	}
	for _, q := range shares {
		if q > 0 && n*(1-q) < 1 {
			break
		}
		ms := max(float64(h.Quantile(q))/1000, 0.01)
		points = append(points, plot.Point{X: q, Y: ms, Text: fmt.Sprintf("%.4g%% within %.2f ms", 100*q, ms)})
	}
	return points
}

func deadlineMark(r *Run) []plot.Mark {
	return []plot.Mark{{At: r.DeadlineMS, Name: fmt.Sprintf("D = %g ms", r.DeadlineMS)}}
}

func distribution(r *Run) figure {
	h := &r.Histograms
	caption := "Share of the received deliveries that came within a time."
	if r.LatencyMS.known() {
		caption += fmt.Sprintf(" Half came within %.1f ms, 99%% within %.1f ms.", r.LatencyMS.P50, r.LatencyMS.P99)
	}
	f := figure{
		Title:   "Latency, action to update",
		Caption: caption,
		Plot: plot.Plot{
			X:     plot.Axis{Label: "share of the deliveries", Form: plot.Nines},
			Y:     plot.Axis{Label: "milliseconds", Form: plot.Log},
			Marks: deadlineMark(r),
			Data: []plot.Series{
				{Name: "updates, at all affected", Class: first, Points: quantileLine(h.LatencyUS)},
				{Name: "outcomes, at the actor", Class: second, Points: quantileLine(h.OutcomeUS)},
			},
		},
		Table: table{Head: []string{"Within", "Updates ms", "Outcomes ms"}},
	}
	if h.OutcomeUS.Count() == 0 {
		f.Plot.Data = f.Plot.Data[:1]
	}
	near := r.Nearest != nil && h.NearestUS.Count() > 0
	if near {
		f.Plot.Data = append(f.Plot.Data, plot.Series{Name: fmt.Sprintf("updates, at the %d nearest", r.Nearest.Count), Class: third, Points: quantileLine(h.NearestUS)})
		f.Table.Head = append(f.Table.Head, "Nearest ms")
	}
	for _, q := range []float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1} {
		row := []string{plot.Percent(q), ms(h.LatencyUS, q), ms(h.OutcomeUS, q)}
		if near {
			row = append(row, ms(h.NearestUS, q))
		}
		f.Table.Rows = append(f.Table.Rows, row)
	}
	return f
}

func ms(h *Histogram, q float64) string {
	if h.Count() == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(h.Quantile(q))/1000)
}

// overTime draws a figure of each second.
func overTime(r *Run, name string, class int, of func(*Second) float64, write func(float64) string) plot.Series {
	s := plot.Series{Name: name, Class: class}
	for i := range r.Series {
		y := of(&r.Series[i])
		s.Points = append(s.Points, plot.Point{X: r.Series[i].At, Y: y, Text: fmt.Sprintf("%s at %.0f s: %s", name, r.Series[i].At, write(y))})
	}
	return s
}

func writeMS(x float64) string   { return fmt.Sprintf("%.1f ms", x) }
func writeRate(x float64) string { return grouped(int64(x+0.5)) + "/s" }

var seconds = plot.Axis{Label: "seconds", FromZero: true}

func latencyOverTime(r *Run) figure {
	f := figure{
		Title:   "Latency over time",
		Caption: "Latencies of the actions due in each second.",
		Plot: plot.Plot{
			X: seconds, Y: plot.Axis{Label: "milliseconds", Form: plot.Log}, Marks: deadlineMark(r),
			Data: []plot.Series{
				overTime(r, "p50", first, func(s *Second) float64 { return s.P50MS }, writeMS),
				overTime(r, "p99", second, func(s *Second) float64 { return s.P99MS }, writeMS),
				overTime(r, "max", quiet, func(s *Second) float64 { return s.MaxMS }, writeMS),
			},
		},
		Table: table{Head: []string{"Second", "p50 ms", "p99 ms", "Max ms", "Lag p99 ms"}},
	}
	for i := range r.Series {
		s := &r.Series[i]
		f.Table.Rows = append(f.Table.Rows, []string{at(s), fmt.Sprintf("%.1f", s.P50MS), fmt.Sprintf("%.1f", s.P99MS), fmt.Sprintf("%.1f", s.MaxMS), fmt.Sprintf("%.2f", s.LagP99MS)})
	}
	return f
}

func at(s *Second) string { return fmt.Sprintf("%.4g", s.At) }

func ratesOverTime(r *Run) figure {
	f := figure{
		Title:   "Rate",
		Caption: fmt.Sprintf("Actions due in each second, and what became of them: %s of the offered were achieved.", percent(share(r.Achieved, r.Offered))),
		Plot: plot.Plot{
			X: seconds, Y: plot.Axis{Label: "actions a second", FromZero: true},
			Data: []plot.Series{
				overTime(r, "offered", quiet, func(s *Second) float64 { return float64(s.Offered) }, writeRate),
				overTime(r, "achieved", first, func(s *Second) float64 { return float64(s.Achieved) }, writeRate),
				overTime(r, "goodput", third, func(s *Second) float64 { return float64(s.Goodput) }, writeRate),
				overTime(r, "refused", missed, func(s *Second) float64 { return float64(s.Refused) }, writeRate),
			},
		},
		Table: table{Head: []string{"Second", "Offered", "Achieved", "Goodput", "Refused", "Unanswered", "Connected"}},
	}
	for i := range r.Series {
		s := &r.Series[i]
		f.Table.Rows = append(f.Table.Rows, []string{at(s), grouped(s.Offered), grouped(s.Achieved), grouped(s.Goodput), grouped(s.Refused), grouped(s.Unanswered), fmt.Sprint(s.Connected)})
	}
	return f
}

func missesOverTime(r *Run) figure {
	f := figure{
		Title:   "Misses",
		Caption: fmt.Sprintf("Share later than D, or missing. All in all %s of the deliveries and %s of the actions.", percent(r.MissRate), percent(r.ActionMissRate)),
		Plot: plot.Plot{
			X: seconds, Y: plot.Axis{Label: "share missed", FromZero: true, Top: 0.01, Write: plot.Percent},
			Data: []plot.Series{
				overTime(r, "deliveries", missed, (*Second).MissRate, percent),
				overTime(r, "deliveries at 30 ms", third, func(s *Second) float64 { return share(s.DeliveriesMissed30MS, s.DeliveriesExpected) }, percent),
				overTime(r, "actions", quiet, func(s *Second) float64 { return share(s.ActionsMissed, s.Offered) }, percent),
			},
		},
		Table: table{Head: []string{"Second", "Deliveries expected", "Missed", "At 30 ms", "Conflated", "Actions missed"}},
	}
	if n := r.Nearest; n != nil {
		f.Caption += fmt.Sprintf(" Of the deliveries to the %d nearest alone %s, and %s of those of admitted actions.", n.Count, percent(n.MissRate), percent(n.AdmittedMissRate))
		f.Plot.Data = append(f.Plot.Data, overTime(r, fmt.Sprintf("to the %d nearest", n.Count), first, func(s *Second) float64 {
			c := s.nearestOf()
			return c.missRate()
		}, percent))
		f.Table.Head = append(f.Table.Head, "To the nearest", "of admitted", "Their goodput")
	}
	for i := range r.Series {
		s := &r.Series[i]
		f.Table.Rows = append(f.Table.Rows, []string{at(s), grouped(s.DeliveriesExpected), percent(s.MissRate()), percent(share(s.DeliveriesMissed30MS, s.DeliveriesExpected)), grouped(s.DeliveriesConflated), percent(share(s.ActionsMissed, s.Offered))})
		if r.Nearest != nil {
			c := s.nearestOf()
			f.Table.Rows[i] = append(f.Table.Rows[i], percent(c.missRate()), percent(c.admittedMissRate()), grouped(c.Goodput))
		}
	}
	return f
}

func processorOverTime(r *Run) figure {
	cores := func(x float64) string { return fmt.Sprintf("%.2f cores", x) }
	f := figure{
		Title:   "Processor",
		Caption: "Cores in use in each second: the server's processes, Redis included, and the load tester on the same or another machine.",
		Plot:    plot.Plot{X: seconds, Y: plot.Axis{Label: "cores", FromZero: true}},
		Table:   table{Head: []string{"Second", "Server cores", "Server MiB", "Load tester cores"}},
	}
	if known := overTime(r, "server", first, func(s *Second) float64 { return value(s.ServerCPUS) }, cores); r.Server != nil {
		f.Plot.Data = append(f.Plot.Data, known)
	}
	f.Plot.Data = append(f.Plot.Data, overTime(r, "load tester", quiet, func(s *Second) float64 { return s.GeneratorCPUS }, cores))
	for i := range r.Series {
		s := &r.Series[i]
		server, memory := "–", "–"
		if s.ServerCPUS != nil {
			server = fmt.Sprintf("%.2f", *s.ServerCPUS)
		}
		if s.ServerRSSBytes != nil {
			memory = fmt.Sprintf("%.0f", mebibytes(*s.ServerRSSBytes))
		}
		f.Table.Rows = append(f.Table.Rows, []string{at(s), server, memory, fmt.Sprintf("%.2f", s.GeneratorCPUS)})
	}
	return f
}

func value(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

// affected draws P(L).
func affected(r *Run) figure {
	h := r.Histograms.Affected
	f := figure{
		Title: "P(L): participants affected by an action",
		Plot: plot.Plot{
			X: plot.Axis{Label: "affected participants, the actor included", FromZero: true, Whole: true},
			Y: plot.Axis{Label: "share of the actions", FromZero: true, Write: plot.Percent},
		},
		Table: table{Head: []string{"Affected", "Actions", "Share"}},
	}
	if a := r.Affected; a != nil {
		f.Caption = fmt.Sprintf("On average %.1f; half of the actions affect at most %d, one in a hundred %d or more.", a.Mean, a.P50, a.P99)
	}
	bars := plot.Series{Kind: plot.Bars, Class: first}
	for _, b := range binned(h.Bars(), 60) {
		part := share(b.Count, h.Count())
		name := fmt.Sprint(b.From)
		if b.To > b.From {
			name = fmt.Sprintf("%d to %d", b.From, b.To)
		}
		bars.Points = append(bars.Points, plot.Point{X: float64(b.From) - 0.5, To: float64(b.To) + 0.5, Y: part, Text: name + ": " + percent(part)})
		f.Table.Rows = append(f.Table.Rows, []string{name, grouped(b.Count), percent(part)})
	}
	f.Plot.Data = []plot.Series{bars}
	return f
}

// binned puts whole numbers into at most so many bins of equal width.
func binned(bars []Bar, most int64) (bins []Bar) {
	if len(bars) == 0 {
		return nil
	}
	from, to := bars[0].From, bars[len(bars)-1].To
	width := (to-from)/most + 1
	for _, b := range bars {
		start := from + (b.From-from)/width*width
		if n := len(bins); n > 0 && bins[n-1].From == start {
			bins[n-1].Count += b.Count
			continue
		}
		bins = append(bins, Bar{From: start, To: start + width - 1, Count: b.Count})
	}
	return bins
}

// work draws what actions took by how many they affected: a bar for each bin, all
// of one width, since each bin reaches twice as far as the one before.
func work(r *Run) figure {
	f := figure{
		Title: "F(L): does an action that more see take longer?",
		Caption: "Each bar is the actions that affected so many participants; its height is their mean latency, from when an action was due to its update at those who received it." +
			" Bars of one height mean that larger crowds cost no time. In each bar its share of all actions: a bar of few actions says little.",
		Plot: plot.Plot{
			X: plot.Axis{Label: "participants affected by an action, the actor included"}, Y: plot.Axis{Label: "mean latency, ms", FromZero: true, Top: r.DeadlineMS * 1.15},
			Marks: deadlineMark(r),
		},
		Table: table{Head: []string{"Affected", "Actions", "Share of the actions", "Mean ms", "Actions missed"}},
	}
	var all int64
	for _, w := range r.Work {
		all += w.Actions
	}
	bars := plot.Series{Kind: plot.Bars, Class: first}
	for _, w := range r.Work {
		name, missed := w.affected(), percent(share(w.Missed, w.Actions))
		f.Table.Rows = append(f.Table.Rows, []string{name, grouped(w.Actions), percent(share(w.Actions, all)), fmt.Sprintf("%.2f", w.MeanMS), missed})
		if w.Seen == 0 {
			continue
		}
		at := float64(len(f.Plot.X.Names))
		f.Plot.X.Names = append(f.Plot.X.Names, name)
		bars.Points = append(bars.Points, plot.Point{
			X: at - barHalf, To: at + barHalf, Y: w.MeanMS, Label: fmt.Sprintf("%.1f", w.MeanMS), Foot: percent(share(w.Actions, all)),
			Text: fmt.Sprintf("%s affected: %.2f ms on average over %s actions, %s of them missed", name, w.MeanMS, grouped(w.Actions), missed),
		})
	}
	f.Plot.Data = []plot.Series{bars}
	return f
}

// barHalf is half the width of a bar, of the room that it has.
const barHalf = 0.36

// affected writes the bounds of the bin.
func (w *Work) affected() string {
	if w.To > max(w.From, 1) {
		return fmt.Sprintf("%d–%d", w.From, w.To)
	}
	return fmt.Sprint(w.To)
}

// gaps draws the time between the updates of a viewer.
func gaps(r *Run) figure {
	h := r.Histograms.GapUS
	f := figure{
		Title: "Regularity: time between two updates of a viewer",
		Plot: plot.Plot{
			X: plot.Axis{Label: "share of the gaps", Form: plot.Nines}, Y: plot.Axis{Label: "milliseconds", Form: plot.Log},
			Data: []plot.Series{{Class: first, Points: quantileLine(h)}},
		},
		Table: table{Head: []string{"Within", "Gap ms"}},
	}
	if g := r.GapMS; g != nil {
		f.Caption = fmt.Sprintf("Half of the gaps are at most %.1f ms, 99%% at most %.1f ms. How often others in view act bounds them from below.", g.P50, g.P99)
	}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
		f.Table.Rows = append(f.Table.Rows, []string{plot.Percent(q), ms(h, q)})
	}
	return f
}
