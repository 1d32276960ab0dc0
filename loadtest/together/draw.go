package together

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/starling-vr/starling/loadtest/report/plot"
)

// Draw reads a [Table] or a [Mix] that was written as JSON and draws it: SVG files in
// dir. It returns their paths.
func Draw(path, dir string) (files []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var kind struct {
		Format  string
		Version int
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if kind.Version > Version {
		return nil, fmt.Errorf("%s: version %d of its form is newer than this program's, %d", path, kind.Version, Version)
	}
	plots := make(map[string]*plot.Plot)
	switch kind.Format {
	case TableFormat:
		var t Table
		if err := json.Unmarshal(text, &t); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		t.plots(plots)
	case MixFormat:
		var m Mix
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		plots["mix-in-time"], plots["mix-goodput"] = m.inTime(), m.goodput()
	default:
		return nil, fmt.Errorf("%s: its format is %q: want %s or %s", path, kind.Format, TableFormat, MixFormat)
	}
	for name, p := range plots {
		file := filepath.Join(dir, name+".svg")
		if err := os.WriteFile(file, []byte(p.File()), 0o644); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// halfBar is half of a bar's width, in places.
const halfBar = 0.3

func bar(place int, value float64, label, foot string) plot.Point {
	return plot.Point{X: float64(place) - halfBar, To: float64(place) + halfBar, Y: value, Label: label, Foot: foot}
}

// pair are bars side by side, the first or the second of them.
func pair(place, which int, value float64, label string) plot.Point {
	begin := float64(place) - halfBar + float64(which)*halfBar
	return plot.Point{X: begin, To: begin + halfBar, Y: value, Label: label}
}

// plots are the table itself, and its third column, a picture for each sweep.
func (t *Table) plots(into map[string]*plot.Plot) {
	reached := plot.Series{Kind: plot.Bars, Class: 1}
	p := &plot.Plot{
		Title: "Table 1: reached of what is required", Text: "Invocations per second within the required latency, as share of the required rate, by workload.",
		Y:     plot.Axis{Label: "of the required rate, %", FromZero: true, Top: 100},
		Marks: []plot.Mark{{At: 100, Name: "required"}},
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		p.X.Names = append(p.X.Names, r.Workload)
		label := fmt.Sprintf("%s of %s", perSecond(r.ReachedPerS), perSecond(r.RequiredPerS))
		foot := fmt.Sprintf("%.4g %% in time", 100*r.Within)
		reached.Points = append(reached.Points, bar(i, 100*r.ReachedPerS/max(r.RequiredPerS, 1), label, foot))
		if len(r.Sweep) > 0 {
			into["table1-"+r.Workload] = r.plot()
		}
	}
	p.Data = []plot.Series{reached}
	into["table1"] = p
}

// numbers are those in a point's label: the words stand below the axis.
var numbers = regexp.MustCompile(`[0-9]+`)

// runsByLabel puts the runs of one label, with different seeds, together.
func runsByLabel(sweep []Point) (groups [][]Point) {
	for i, p := range sweep {
		if i == 0 || p.Label != sweep[i-1].Label {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], p)
	}
	return groups
}

// plot is a sweep: what missed its deadline, over what was swept.
func (r *Row) plot() *plot.Plot {
	missed := plot.Series{Kind: plot.Bars, Class: 2}
	p := &plot.Plot{
		Title: r.Workload + ": late by " + r.ScalesWith, Text: "Share that missed its deadline, by " + r.ScalesWith + ".",
		X: plot.Axis{Label: r.ScalesWith}, Y: plot.Axis{Label: "later than the deadline, %", FromZero: true, Top: 5},
	}
	for i, same := range runsByLabel(r.Sweep) {
		mean := 0.0
		for _, s := range same {
			mean += s.Missed / float64(len(same))
		}
		p.X.Names = append(p.X.Names, strings.Join(numbers.FindAllString(same[0].Label, -1), " and "))
		missed.Points = append(missed.Points, bar(i, 100*mean, fmt.Sprintf("%.2f %%", 100*mean), ""))
	}
	p.Data = []plot.Series{missed}
	return p
}

// places of the mix's pictures.
var mixNames = []string{"actions", "annotation", "trigger"}

// inTime is what each workload promises: of what it took on, the share that was in time.
func (m *Mix) inTime() *plot.Plot {
	p := &plot.Plot{
		Title: "The three at once: in time", Text: "Share in time of what was taken on, with contracts and without; of the trigger as share of the empty loop's.",
		Y: plot.Axis{Label: "in time, %", FromZero: true, Top: 100},
	}
	for place, promised := range []float64{1 - mixMisses, 1 - mixLate, mixOfEmpty} {
		p.X.Names = append(p.X.Names, fmt.Sprintf("%s: %.4g %% promised", mixNames[place], 100*promised))
	}
	for which, s := range []*Share{&m.With, &m.Without} {
		one := plot.Series{Name: mixSeries[which], Kind: plot.Bars, Class: which + 1}
		for place, v := range []float64{1 - s.Actions.MissRate, 1 - s.Annotation.LateFraction, s.Trigger.OfEmpty} {
			one.Points = append(one.Points, pair(place, which, 100*v, fmt.Sprintf("%.1f", 100*v)))
		}
		p.Data = append(p.Data, one)
	}
	return p
}

// goodput is what each workload got done in time, of what was offered.
func (m *Mix) goodput() *plot.Plot {
	p := &plot.Plot{
		Title: "The three at once: goodput", Text: "What was done in time, as share of what was offered, with contracts and without.",
		X: plot.Axis{Names: mixNames}, Y: plot.Axis{Label: "in time of what was offered, %", FromZero: true, Top: 100},
	}
	for which, s := range []*Share{&m.With, &m.Without} {
		one := plot.Series{Name: mixSeries[which], Kind: plot.Bars, Class: which + 1}
		for place, v := range []struct{ done, offered float64 }{
			{s.Actions.GoodputPerS, s.Actions.OfferedPerS}, {s.Annotation.GoodputPerS, s.Annotation.OfferedPerS},
			{s.Trigger.Within3US * s.Trigger.RatePerS, s.Trigger.RatePerS},
		} {
			one.Points = append(one.Points, pair(place, which, 100*share(v.done, v.offered), perSecond(v.done)))
		}
		p.Data = append(p.Data, one)
	}
	return p
}

var mixSeries = []string{"with contracts", "without"}
