package report

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/starling-vr/starling/loadtest/report/plot"
)

// WriteSweepPage writes a page about a sweep into a folder: index.html, and
// runs.json with all its runs.
func WriteSweepPage(folder string, s *Sweep) error {
	var runs []Run
	for _, p := range s.Points {
		runs = append(runs, p.Runs...)
	}
	r := &runs[0]
	from, to := s.Points[0].Value, s.Points[len(s.Points)-1].Value
	p := &page{
		Title:    r.Scenario + ": " + s.Parameter.Text,
		Subtitle: fmt.Sprintf("%s to %s · %d runs · D = %g ms · %s", number(from), number(to), len(runs), r.DeadlineMS, r.Behind()),
		Footer:   "Starling " + r.Starling + ". Medians over the seeds; the runs as JSON lie beside this page (runs.json).",
		Notices:  []remark{{"", s.Flatness()}},
		Leading:  []table{s.table()},
		Tables:   []table{machineTable(r)},
	}
	if s.Ended != "" {
		p.Notices = append(p.Notices, remark{"warn", s.Ended + "."})
	}
	limited := 0
	for i := range runs {
		if runs[i].GeneratorLimited {
			limited++
		}
	}
	if limited > 0 {
		p.Notices = append(p.Notices, remark{"warn", fmt.Sprintf("In %d of the runs the load tester, not the server, was the limit.", limited)})
	}
	s.figures(p, r.DeadlineMS)
	if err := p.write(folder); err != nil {
		return err
	}
	return WriteFile(filepath.Join(folder, "runs.json"), runs...)
}

func (s *Sweep) figures(p *page, deadline float64) {
	microseconds := plot.Axis{Label: "microseconds", FromZero: true}
	p.add(s.figure("CPU per action", "Processor time of the server, Redis included, for each achieved action.", microseconds, nil,
		line{"", first, ofServer(func(v *Server) float64 { return v.CPUUSPerAction }), decimals(1)}))
	s.deliveryFigures(p, microseconds)
	p.add(s.figure("M, misses", "Share later than D, or missing.", plot.Axis{Label: "share missed", FromZero: true, Top: 0.01, Write: plot.Percent}, nil,
		line{"deliveries", missed, always(func(r *Run) float64 { return r.MissRate }), percent},
		line{"deliveries at 30 ms", third, always(func(r *Run) float64 { return r.MissRate30MS }), percent},
		line{"actions", quiet, always(func(r *Run) float64 { return r.ActionMissRate }), percent}))
	p.add(s.figure("Latency", "From the time an action was due to its update at each affected participant.", plot.Axis{Label: "milliseconds", Form: plot.Log},
		[]plot.Mark{{At: deadline, Name: fmt.Sprintf("D = %g ms", deadline)}},
		line{"p50", first, ofArrivals(func(q *ArrivalQuantiles) float64 { return q.P50 }), writeMS},
		line{"p99", second, ofArrivals(func(q *ArrivalQuantiles) float64 { return q.P99 }), writeMS},
		line{"p99.9", quiet, ofArrivals(func(q *ArrivalQuantiles) float64 { return q.P999 }), writeMS}))
	p.add(s.figure("Rate", "Actions a second.", plot.Axis{Label: "actions a second", FromZero: true}, nil,
		line{"offered", quiet, always(func(r *Run) float64 { return r.OfferedPerS }), writeRate},
		line{"achieved", first, always(func(r *Run) float64 { return r.AchievedPerS }), writeRate},
		line{"goodput", third, always(func(r *Run) float64 { return r.GoodputPerS }), writeRate}))
	p.add(s.figure("Memory", "Largest resident memory of the server.", plot.Axis{Label: "MiB", FromZero: true}, nil,
		line{"", first, ofServer(func(v *Server) float64 { return mebibytes(v.RSSBytes) }), decimals(0)}))
}

// deliveryFigures show the cost of a delivery, and with a yardstick its, too, and
// the ratio of the two.
func (s *Sweep) deliveryFigures(p *page, microseconds plot.Axis) {
	if !s.beside() {
		p.add(s.figure("CPU per delivery", "The same for each received delivery.", microseconds, nil, line{"", first, perDelivery, decimals(2)}))
		return
	}
	p.add(s.figure("CPU per delivery", "The same for each received delivery; and that of the yardstick, a bare broadcast loop with the same crowd.", microseconds, nil,
		line{"server", first, perDelivery, decimals(2)},
		line{"yardstick", quiet, yardstickPerDelivery, decimals(2)}))
	p.add(s.figure("Against the yardstick", "How many times as much a delivery costs the server: what grows for both is the machine's.", plot.Axis{Label: "ratio", FromZero: true},
		[]plot.Mark{{At: 1, Name: "as much as the yardstick"}},
		line{"", first, ratioOfDeliveries, decimals(2)}))
}

// line is a figure over the parameter.
type line struct {
	name  string
	class int
	of    func(*Run) (float64, bool)
	write func(float64) string
}

// figure draws medians as lines and the single runs as dots.
func (s *Sweep) figure(title, caption string, y plot.Axis, marks []plot.Mark, lines ...line) figure {
	f := figure{Title: title, Caption: caption, Table: table{Head: []string{s.Parameter.Text}}}
	f.Plot = plot.Plot{X: s.axis(), Y: y, Marks: marks}
	for _, l := range lines {
		medians, dots := plot.Series{Name: l.name, Class: l.class}, plot.Series{Kind: plot.Dots, Class: l.class}
		f.Table.Head = append(f.Table.Head, strings.TrimSpace(l.name+" median"))
		for i := range s.Points {
			p := &s.Points[i]
			_, median, _, ok := p.spreadOf(l.of)
			if !ok {
				continue
			}
			medians.Points = append(medians.Points, plot.Point{X: p.Value, Y: median, Text: fmt.Sprintf("%s at %s: %s", l.name, number(p.Value), l.write(median))})
			for k := range p.Runs {
				if v, ok := l.of(&p.Runs[k]); ok {
					dots.Points = append(dots.Points, plot.Point{X: p.Value, Y: v, Text: fmt.Sprintf("%s at %s, seed %d: %s", l.name, number(p.Value), p.Runs[k].Seed, l.write(v))})
				}
			}
		}
		f.Plot.Data = append(f.Plot.Data, medians, dots)
	}
	for i := range s.Points {
		row := []string{number(s.Points[i].Value)}
		for _, l := range lines {
			if _, median, _, ok := s.Points[i].spreadOf(l.of); ok {
				row = append(row, l.write(median))
			} else {
				row = append(row, "–")
			}
		}
		f.Table.Rows = append(f.Table.Rows, row)
	}
	return f
}

// axis is logarithmic if the parameter spans much.
func (s *Sweep) axis() plot.Axis {
	a := plot.Axis{Label: s.Parameter.Text}
	from, to := s.Points[0].Value, s.Points[len(s.Points)-1].Value
	if from > 0 && to/from >= 8 {
		a.Form = plot.Log
		return a
	}
	a.FromZero = true
	return a
}

// WriteLimitPage writes a page about a search for the limit into a folder:
// index.html, and limit.json.
func WriteLimitPage(folder string, l *Limit) error {
	p := &page{Title: l.Scenario + ": the highest rate that holds"}
	if len(l.Runs) > 0 {
		all, err := Merge(l.Runs...)
		if err != nil {
			return err
		}
		about := runPage(&all, l.MaxMiss)
		about.Title, p = p.Title, about
		if len(l.Runs) > 1 {
			p.Leading = append(p.Leading, eachRun(l.Runs))
		}
	}
	switch {
	case l.Interrupted:
		p.Title = l.Scenario + ": a search for the highest rate, interrupted"
		p.Notices = append([]remark{{"warn", "The search was interrupted: the highest rate that holds is not known." + l.boundsText()}}, p.Notices...)
	case l.Found:
		p.Subtitle = "At that rate: " + p.Subtitle
		p.Notices = append([]remark{{"good", fmt.Sprintf("%s actions/s held in every seed with at most %g%% of the deliveries missed; the seeds' own limits lie between %s and %s.",
			whole(l.RatePerS), 100*l.MaxMiss, whole(l.LowPerS), whole(l.HighPerS))}}, p.Notices...)
	default:
		p.Notices = append([]remark{{"bad", fmt.Sprintf("No rate that was tried held in every seed with at most %g%% of the deliveries missed.", 100*l.MaxMiss)}}, p.Notices...)
	}
	if l.Yardstick != nil {
		p.Notices = append(p.Notices[:1:1], append([]remark{{"", l.Yardstick.Text() + "."}}, p.Notices[1:]...)...)
	}
	if search := searchFigure(l); len(l.Tries) > 0 {
		p.Figures = append([]figure{search}, p.Figures...)
		p.Tables = append([]table{triesTable(l)}, p.Tables...)
	}
	if err := p.write(folder); err != nil {
		return err
	}
	return WriteLimit(filepath.Join(folder, "limit.json"), l)
}

// boundsText says what the seeds hold that were finished.
func (l *Limit) boundsText() string {
	if l.HighPerS == 0 {
		return ""
	}
	return fmt.Sprintf(" The limits of the seeds that were finished lie between %s and %s actions/s.", whole(l.LowPerS), whole(l.HighPerS))
}

// leastShown is where misses of 0 are drawn.
const leastShown = 1e-5

func searchFigure(l *Limit) figure {
	held, broke := plot.Series{Name: "held", Kind: plot.Dots, Class: first}, plot.Series{Name: "did not", Kind: plot.Dots, Class: missed}
	for _, t := range l.Tries {
		point := plot.Point{X: t.OfferedPerS, Y: max(t.MissRate, leastShown), Text: fmt.Sprintf("seed %d at %s: %s missed", t.Seed, writeRate(t.OfferedPerS), percent(t.MissRate))}
		if t.Held {
			held.Points = append(held.Points, point)
		} else {
			broke.Points = append(broke.Points, point)
		}
	}
	return figure{
		Title: "The search", Caption: "Each run that was tried: what it missed at which rate.",
		Plot: plot.Plot{
			X: plot.Axis{Label: "actions offered a second"}, Y: plot.Axis{Label: "share missed", Form: plot.Log, Write: plot.Percent},
			Marks: []plot.Mark{{At: l.MaxMiss, Name: fmt.Sprintf("%g%% allowed", 100*l.MaxMiss)}}, Data: []plot.Series{held, broke},
		},
	}
}

func triesTable(l *Limit) table {
	t := table{Title: "All that was tried", Head: []string{"Seed", "Offered/s", "Achieved/s", "Missed", "Actions missed", "p99 ms", "µs/action", ""}}
	for _, try := range l.Tries {
		cpu, verdict := "–", "did not hold"
		if try.CPUUSPerAction > 0 {
			cpu = fmt.Sprintf("%.0f", try.CPUUSPerAction)
		}
		switch {
		case try.Held:
			verdict = "held"
		case try.Limited:
			verdict = "the load tester was the limit"
		}
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(try.Seed), whole(try.OfferedPerS), whole(try.AchievedPerS), percent(try.MissRate), percent(try.ActionMissRate), fmt.Sprintf("%.1f", try.P99MS), cpu, verdict,
		})
	}
	return t
}
