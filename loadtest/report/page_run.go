package report

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// WritePage writes a page about runs of the same kind (one, or several seeds)
// into a folder: index.html, which needs nothing else, and run.json.
// maxMiss is the miss rate that was asked for; 0 if none was.
func WritePage(folder string, maxMiss float64, runs ...Run) error {
	if len(runs) == 0 {
		return errors.New("no runs to report")
	}
	all := runs[0]
	if len(runs) > 1 {
		var err error
		if all, err = Merge(runs...); err != nil {
			return err
		}
	}
	p := runPage(&all, maxMiss)
	if len(runs) > 1 {
		p.Leading = append(p.Leading, eachRun(runs))
	}
	if err := p.write(folder); err != nil {
		return err
	}
	return WriteFile(filepath.Join(folder, "run.json"), runs...)
}

func runPage(r *Run, maxMiss float64) *page {
	p := &page{Title: r.Scenario, Subtitle: subtitle(r), Cards: cards(r, maxMiss), Footer: footer(r)}
	if r.Label != "" {
		p.Title += ": " + r.Label
	}
	p.verdict(r, maxMiss)
	p.figures(r)
	p.Tables = []table{countsTable(r), modelTable(r), resourcesTable(r), machineTable(r)}
	if len(r.RefusalsByCode) > 0 {
		p.Tables = slices.Insert(p.Tables, 1, refusalsTable(r))
	}
	return p
}

func subtitle(r *Run) string {
	parts := []string{
		fmt.Sprintf("%s participants", grouped(int64(r.Participants))),
		fmt.Sprintf("%s actions/s offered", grouped(int64(r.OfferedPerS+0.5))),
		fmt.Sprintf("D = %g ms", r.DeadlineMS),
	}
	if on := r.Behind(); on != "" {
		parts = append(parts, on)
	}
	if len(r.Seeds) > 1 {
		parts = append(parts, fmt.Sprintf("%d runs, seeds %s", r.Runs, strings.Trim(fmt.Sprint(r.Seeds), "[]")))
	} else {
		parts = append(parts, fmt.Sprintf("seed %d", r.Seed))
	}
	return strings.Join(append(parts, fmt.Sprintf("%g\u00a0s from %s", r.DurationS, r.Started.UTC().Format(time.DateTime+" UTC"))), " · ")
}

func footer(r *Run) string {
	text := "Starling " + r.Starling + ". Latency counts from the time an action was due; what was refused, shed or never delivered is missed. The figures as JSON lie beside this page (run.json)."
	if r.Command != "" {
		text += " Repeat: " + r.Command
	}
	return text
}

func (p *page) verdict(r *Run, maxMiss float64) {
	if r.GeneratorLimited {
		p.Notices = append(p.Notices, remark{"warn", "The load tester, not the server, was the limit: " + r.GeneratorLimitedWhy + ". The figures say little of the server."})
	}
	switch missed := percent(r.MissRate) + " of the deliveries missed D"; {
	case maxMiss <= 0:
	case r.MissRate > maxMiss:
		p.Notices = append(p.Notices, remark{"bad", fmt.Sprintf("Not met: %s, more than the %g%% allowed.", missed, 100*maxMiss)})
	default:
		p.Notices = append(p.Notices, remark{"good", fmt.Sprintf("Met: %s, within the %g%% allowed.", missed, 100*maxMiss)})
	}
	for _, note := range r.Notes {
		p.Notices = append(p.Notices, remark{"", note})
	}
}

func cards(r *Run, maxMiss float64) []card {
	graded := ""
	if maxMiss > 0 {
		graded = "good"
		if r.MissRate > maxMiss {
			graded = "bad"
		}
	}
	all := []card{
		{"", "Achieved", grouped(int64(r.AchievedPerS + 0.5)), "actions/s", "of " + grouped(int64(r.OfferedPerS+0.5)) + " offered"},
		{"", "Goodput", grouped(int64(r.GoodputPerS + 0.5)), "actions/s", "committed and seen by all within D"},
		{graded, "Deliveries missed", percent(r.MissRate), "", percent(r.MissRate30MS) + " at 30 ms"},
		{"", "Actions missed", percent(r.ActionMissRate), "", percent(r.ActionMissRate30MS) + " at 30 ms"},
		{"", "Latency p50", figureOf("%.1f", r.LatencyMS.P50), "ms", fmt.Sprintf("p90 %s ms", figureOf("%.1f", r.LatencyMS.P90))},
		{"", "Latency p99", figureOf("%.1f", r.LatencyMS.P99), "ms", fmt.Sprintf("p99.9 %s, max %s ms", figureOf("%.1f", r.LatencyMS.P999), figureOf("%.0f", r.LatencyMS.Max))},
		{"", "Deliveries", grouped(int64(r.DeliveriesReceivedPer + 0.5)), "/s", fmt.Sprintf("%.1f an action", r.DeliveriesPerAction)},
	}
	if n := r.Nearest; n != nil {
		all = append(all, card{"", fmt.Sprintf("Missed by the nearest %d", n.Count), percent(n.MissRate), "", fmt.Sprintf("of what was admitted %s", percent(n.AdmittedMissRate))},
			card{"", "Goodput, nearest alone", grouped(int64(n.GoodputPerS + 0.5)), "actions/s", "seen within D by all to whom it was near"})
	}
	if s := r.Server; s != nil {
		all = append(all, card{"", "Server processor", figureOf("%.0f", s.CPUUSPerAction), "µs/action", fmt.Sprintf("%s µs a delivery, %.0f MiB", figureOf("%.1f", s.CPUUSPerDelivery), mebibytes(s.RSSBytes))})
	} else {
		all = append(all, card{"", "Server processor", "–", "", "not seen: --server-metrics names it"})
	}
	if r.Yardstick != nil {
		all = append(all, r.Yardstick.card())
	}
	return all
}

// figureOf writes a figure that is 0 where it is not known.
func figureOf(format string, x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf(format, x)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// eachRun sets runs side by side, with the spread.
func eachRun(runs []Run) table {
	t := table{Title: "Each run", Head: []string{"Seed", "Achieved/s", "Goodput/s", "Missed", "Missed 30 ms", "Actions missed", "p50 ms", "p99 ms", "p99.9 ms", "µs/action", "× yardstick"}}
	for i := range runs {
		r := &runs[i]
		cpu := "–"
		if r.Server != nil {
			cpu = figureOf("%.0f", r.Server.CPUUSPerAction)
		}
		ratio := "–"
		if r.Yardstick != nil && r.Yardstick.CPURatio != nil {
			ratio = fmt.Sprintf("%.2f", *r.Yardstick.CPURatio)
		}
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(r.Seed), fmt.Sprintf("%.0f", r.AchievedPerS), fmt.Sprintf("%.0f", r.GoodputPerS), percent(r.MissRate), percent(r.MissRate30MS),
			percent(r.ActionMissRate), figureOf("%.1f", r.LatencyMS.P50), figureOf("%.1f", r.LatencyMS.P99), figureOf("%.1f", r.LatencyMS.P999), cpu, ratio,
		})
	}
	return t
}

func countsTable(r *Run) table {
	row := func(name string, n, of int64) []string {
		return []string{name, grouped(n), percent(share(n, of)), fmt.Sprintf("%.0f", per(float64(n), int64(max(r.DurationS, 1))))}
	}
	t := table{Title: "Actions and deliveries", Head: []string{"", "Count", "Share", "Per second"}, Rows: [][]string{
		row("Actions offered", r.Offered, r.Offered), row("admitted", r.Admitted, r.Offered), row("achieved (committed)", r.Achieved, r.Offered),
		row("goodput (committed, seen by all within D)", r.Goodput, r.Offered), row("refused", r.Refused, r.Offered), row("unanswered", r.Unanswered, r.Offered),
		row("missed", r.ActionsMissed, r.Offered), row("missed at 30 ms", r.ActionsMissed30MS, r.Offered),
		row("Deliveries expected", r.DeliveriesExpected, r.DeliveriesExpected), row("received", r.DeliveriesReceived, r.DeliveriesExpected),
		row("of these conflated", r.DeliveriesConflated, r.DeliveriesExpected), row("missed (late or missing)", r.DeliveriesMissed, r.DeliveriesExpected),
		row("missed at 30 ms", r.DeliveriesMissed30MS, r.DeliveriesExpected), row("uncertain (left out)", r.DeliveriesUncertain, r.DeliveriesExpected),
		row("Moves into another cell", r.CellCrossings, r.Offered), row("of these into another shard", r.ShardCrossings, r.Offered),
	}}
	if n := r.Nearest; n != nil {
		t.Rows = append(t.Rows, row(fmt.Sprintf("To the nearest %d alone: goodput", n.Count), n.Goodput, r.Offered), row("actions missed", n.ActionsMissed, r.Offered),
			row("deliveries expected", n.DeliveriesExpected, n.DeliveriesExpected), row("received", n.DeliveriesReceived, n.DeliveriesExpected),
			row("missed (late or missing)", n.DeliveriesMissed, n.DeliveriesExpected), row("missed at 30 ms", n.DeliveriesMissed30MS, n.DeliveriesExpected),
			row("of admitted actions", n.DeliveriesAdmitted, n.DeliveriesExpected), row("of these missed", n.AdmittedMissed, n.DeliveriesAdmitted))
	}
	return t
}

func refusalsTable(r *Run) table {
	t := table{Title: "Refusals", Head: []string{"Code", "Actions", "Share of the offered"}}
	for _, code := range r.RefusalCodes() {
		t.Rows = append(t.Rows, []string{code, grouped(r.RefusalsByCode[code]), percent(share(r.RefusalsByCode[code], r.Offered))})
	}
	if s := r.RefusalSpread; s != nil {
		t.Rows = append(t.Rows, []string{
			fmt.Sprintf("Over the participants: %s of %s were refused something; share least %s, median %s, p90 %s, most %s; Jain's fairness index %.3f",
				grouped(int64(s.Hit)), grouped(int64(s.Participants)), percent(s.Least), percent(s.P50), percent(s.P90), percent(s.Most), s.Jain), "", "",
		})
	}
	return t
}

// RefusalCodes are the codes of its refusals, the most frequent first.
func (r *Run) RefusalCodes() []string {
	var codes []string
	for code := range r.RefusalsByCode {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(a, b string) int {
		if d := r.RefusalsByCode[b] - r.RefusalsByCode[a]; d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a, b)
	})
	return codes
}

func modelTable(r *Run) table {
	m := &r.Model
	var mix []string
	for _, name := range slices.SortedFunc(maps.Keys(m.Mix), func(a, b string) int {
		if m.Mix[a] != m.Mix[b] {
			return int(1e6 * (m.Mix[b] - m.Mix[a]))
		}
		return strings.Compare(a, b)
	}) {
		mix = append(mix, fmt.Sprintf("%s %s", name, percent(m.Mix[name])))
	}
	t := table{Title: "The crowd", Rows: [][]string{
		{"Participants", grouped(int64(r.Participants))},
		{"λ, actions/s of each", fmt.Sprintf("%.4g, %s", m.RatePerParticipant, m.Arrivals)},
		{"Groups", fmt.Sprintf("%s of %.4g; %.3g a cell; watching %d ring(s)", grouped(int64(m.Groups)), m.GroupSize, m.Density, m.Ring)},
		{"Functions", strings.Join(mix, ", ")},
		{"Cells, shards", fmt.Sprintf("%s, %s; crossings %.3g/s, %.3g/s", grouped(int64(r.Cells)), grouped(int64(r.Shards)), r.CellCrossingsPerS, r.ShardCrossingsPerS)},
		{"Time", fmt.Sprintf("%g s after %g s of warm-up", r.DurationS, r.WarmupS)},
	}}
	if a := r.Affected; a != nil {
		t.Rows = append(t.Rows, []string{"P(L), affected by an action", fmt.Sprintf("mean %.1f, median %d, p90 %d, p99 %d, most %d", a.Mean, a.P50, a.P90, a.P99, a.Max)})
	}
	if m.WorkUS > 0 || m.WorkPerNeighbourUS > 0 {
		t.Rows = append(t.Rows, []string{"F(L) put in", fmt.Sprintf("%g µs and %g µs for each neighbour", m.WorkUS, m.WorkPerNeighbourUS)})
	}
	return t
}

func resourcesTable(r *Run) table {
	known := func(x *float64, unit string) string {
		if x == nil {
			return "not known"
		}
		return fmt.Sprintf("%.4g %s", *x, unit)
	}
	t := table{Title: "Resources"}
	if s := r.Server; s != nil {
		t.Rows = append(t.Rows,
			[]string{"Server processor", fmt.Sprintf("%.2f s (of it the store's: %s), %.2f cores", s.CPUS, known(s.StoreCPUS, "s"), s.CPUS/max(r.DurationS, 1e-9))},
			[]string{"Server memory", fmt.Sprintf("%.0f MiB at most, %.0f MiB at the start", mebibytes(s.RSSBytes), mebibytes(s.RSSStartBytes))})
	}
	return table{Title: t.Title, Rows: append(t.Rows,
		[]string{"Load tester", fmt.Sprintf("%.2f s of processor; lag p50 %.2f, p99 %.2f, max %.1f ms", r.Generator.CPUS, r.Generator.LagP50MS, r.Generator.LagP99MS, r.Generator.LagMaxMS)},
		[]string{"Used, sum of memory × run time", known(r.UsedGBS, "GB s")}, []string{"R, reserved", known(r.ReservedGBS, "GB s")},
		[]string{"To the participants", fmt.Sprintf("%.2f MB/s; from them %.2f MB/s", r.BytesReceivedPerS/1e6, r.BytesSentPerS/1e6)},
		[]string{"Reconnects", grouped(r.Reconnects)},
	)}
}

func machineTable(r *Run) table {
	m := &r.Machine
	kind := ""
	if m.Virtual {
		kind = " (virtual)"
	}
	others := "what else ran is not known"
	if m.OthersCPUS != nil && m.StolenCPUS != nil {
		others = fmt.Sprintf("others used %.2f processor seconds in the measured time, the host kept %.2f", *m.OthersCPUS, *m.StolenCPUS)
	}
	load := ""
	if m.LoadAverage >= 0 {
		load = fmt.Sprintf("load average %.2f before; ", m.LoadAverage)
	}
	return table{Title: "The machine", Rows: [][]string{
		{"Processor", fmt.Sprintf("%s, %d cores%s", m.CPU, m.Cores, kind)},
		{"Memory", fmt.Sprintf("%.1f GiB", float64(m.MemoryBytes)/(1<<30))},
		{"System", fmt.Sprintf("%s, kernel %s, %s, TCP %s", m.OS, m.Kernel, m.Go, m.CongestionControl)},
		{"Beside the run", load + others},
	}}
}
