package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Parameter is what a sweep changes from run to run.
type Parameter struct {
	Name   string // as in commands and files
	Text   string // as on axes and in tables
	Of     func(*Run) float64
	beside *column // what the parameter made, if that is something else
}

// Parameters are those that a run tells.
var Parameters = []Parameter{
	{"participants", "participants", func(r *Run) float64 { return float64(r.Participants) }, nil},
	{"rate", "actions/s offered", func(r *Run) float64 { return r.OfferedPerS }, nil},
	{"density", "times the scenario's density", func(r *Run) float64 { return r.Model.DensityFactor },
		&column{"participants a cell", decimals(2), always(func(r *Run) float64 { return r.Model.Density })}},
	{"group-size", "participants a group", func(r *Run) float64 { return r.Model.GroupSize }, nil},
	{"groups", "groups", func(r *Run) float64 { return float64(r.Model.Groups) }, nil},
	{"shards", "shards", func(r *Run) float64 { return float64(r.Shards) }, nil},
	{"owners", "owners", func(r *Run) float64 { return float64(r.Owners) }, nil},
	{"work", "µs of work for each neighbour", func(r *Run) float64 { return r.Model.WorkPerNeighbourUS }, nil},
}

// Sweep shows how figures change with a parameter.
type Sweep struct {
	Parameter Parameter
	Points    []SweepPoint // ascending
	Ended     string       // why it has fewer runs than it was to have; "": it is whole
}

// SweepPoint is what was measured at one value of the parameter.
type SweepPoint struct {
	Value float64
	Runs  []Run // one for each seed
}

// NewSweep orders runs by a parameter of the given name. Those whose value
// differs by less than 2 % make one point.
func NewSweep(parameter string, runs []Run) (*Sweep, error) {
	if len(runs) == 0 {
		return nil, errors.New("no runs in the sweep")
	}
	at := slices.IndexFunc(Parameters, func(p Parameter) bool { return p.Name == parameter })
	if at < 0 {
		var names []string
		for _, p := range Parameters {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("parameter %q: want one of %s", parameter, strings.Join(names, ", "))
	}
	s := &Sweep{Parameter: Parameters[at]}
	ordered := slices.Clone(runs)
	slices.SortStableFunc(ordered, func(a, b Run) int { return cmp.Compare(s.Parameter.Of(&a), s.Parameter.Of(&b)) })
	for _, r := range ordered {
		v := s.Parameter.Of(&r)
		if n := len(s.Points); n > 0 && v-s.Points[n-1].Value <= alikeValues*math.Abs(v) {
			s.Points[n-1].Runs = append(s.Points[n-1].Runs, r)
			continue
		}
		s.Points = append(s.Points, SweepPoint{Value: v, Runs: []Run{r}})
	}
	return s, nil
}

const alikeValues = 0.02

// column is a figure of a sweep.
type column struct {
	name  string
	write func(float64) string
	of    func(*Run) (float64, bool)
}

func always(of func(*Run) float64) func(*Run) (float64, bool) {
	return func(r *Run) (float64, bool) { return of(r), true }
}

// ofArrivals is of what arrived, if anything did.
func ofArrivals(of func(*ArrivalQuantiles) float64) func(*Run) (float64, bool) {
	return func(r *Run) (float64, bool) { return of(&r.LatencyMS), r.LatencyMS.known() }
}

// ofServer is of the server, if it was seen and the figure is known.
func ofServer(of func(*Server) float64) func(*Run) (float64, bool) {
	return func(r *Run) (float64, bool) {
		if r.Server == nil {
			return 0, false
		}
		v := of(r.Server)
		return v, v != 0
	}
}

// yardstickPerDelivery is the processor time of the bare loop that had the same
// crowd, if one had, for each delivery, microseconds.
func yardstickPerDelivery(r *Run) (float64, bool) {
	if r.Yardstick == nil {
		return 0, false
	}
	v := r.Yardstick.CPUUSPerDelivery
	return v, v != 0
}

// perDelivery is the server's processor time for each delivery, microseconds.
var perDelivery = ofServer(func(s *Server) float64 { return s.CPUUSPerDelivery })

// ratioOfDeliveries is how many times as much a delivery costs the server as the
// yardstick.
func ratioOfDeliveries(r *Run) (float64, bool) {
	server, known := perDelivery(r)
	yardstick, measured := yardstickPerDelivery(r)
	if !known || !measured {
		return 0, false
	}
	return server / yardstick, true
}

func decimals(n int) func(float64) string {
	return func(x float64) string { return fmt.Sprintf("%.*f", n, x) }
}

func whole(x float64) string { return grouped(int64(math.Round(x))) }

var columns = []column{
	{"achieved/s", whole, always(func(r *Run) float64 { return r.AchievedPerS })},
	{"deliveries/action", decimals(1), always(func(r *Run) float64 { return r.DeliveriesPerAction })},
	{"CPU µs/action", decimals(1), ofServer(func(s *Server) float64 { return s.CPUUSPerAction })},
	{"CPU µs/delivery", decimals(2), perDelivery},
	{"missed", percent, always(func(r *Run) float64 { return r.MissRate })},
	{"actions missed", percent, always(func(r *Run) float64 { return r.ActionMissRate })},
	{"p50 ms", decimals(1), ofArrivals(func(q *ArrivalQuantiles) float64 { return q.P50 })},
	{"p99 ms", decimals(1), ofArrivals(func(q *ArrivalQuantiles) float64 { return q.P99 })},
	{"MiB", whole, ofServer(func(s *Server) float64 { return mebibytes(s.RSSBytes) })},
}

// costColumns are those of columns before which yardstickColumns stand, where there
// was a yardstick.
const costColumns = 4

var yardstickColumns = []column{
	{"yardstick's", decimals(2), yardstickPerDelivery},
	{"ratio", decimals(2), ratioOfDeliveries},
}

// spreadOf gives least, median and most of a figure at a point; false if no
// run has it.
func (p *SweepPoint) spreadOf(of func(*Run) (float64, bool)) (low, median, high float64, ok bool) {
	var values []float64
	for i := range p.Runs {
		if v, ok := of(&p.Runs[i]); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, 0, 0, false
	}
	slices.Sort(values)
	n := len(values)
	return values[0], (values[(n-1)/2] + values[n/2]) / 2, values[n-1], true
}

// cell writes a figure: the median, and the spread of several runs.
func (p *SweepPoint) cell(c *column) string {
	low, median, high, ok := p.spreadOf(c.of)
	if !ok {
		return "–"
	}
	text := c.write(median)
	if a, b := c.write(low), c.write(high); len(p.Runs) > 1 && a != b {
		text += " (" + a + "–" + b + ")"
	}
	return text
}

func (s *Sweep) table() table {
	t := table{Title: "By " + s.Parameter.Text, Head: []string{s.Parameter.Text, "runs"}}
	columns := columns
	if s.beside() {
		columns = slices.Insert(slices.Clone(columns), costColumns, yardstickColumns...)
	}
	if s.Parameter.beside != nil {
		columns = append([]column{*s.Parameter.beside}, columns...)
	}
	for i := range columns {
		t.Head = append(t.Head, columns[i].name)
	}
	for i := range s.Points {
		p := &s.Points[i]
		row := []string{number(p.Value), fmt.Sprint(len(p.Runs))}
		for k := range columns {
			row = append(row, p.cell(&columns[k]))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// beside says whether a yardstick had the crowd of any run, too.
func (s *Sweep) beside() bool {
	return slices.ContainsFunc(s.Points, func(p SweepPoint) bool {
		return slices.ContainsFunc(p.Runs, func(r Run) bool { return r.Yardstick != nil })
	})
}

// number writes a value of a parameter.
func number(x float64) string {
	if x == math.Trunc(x) || x >= 1000 {
		return whole(x)
	}
	return fmt.Sprintf("%.3g", x)
}

// WriteTable writes the sweep as aligned text, or as a Markdown table: medians,
// and the spread where there are several runs.
func (s *Sweep) WriteTable(w io.Writer, markdown bool) error {
	t := s.table()
	if markdown {
		lines := []string{"| " + strings.Join(t.Head, " | ") + " |", "|" + strings.Repeat(" ---: |", len(t.Head))}
		for _, row := range t.Rows {
			lines = append(lines, "| "+strings.Join(row, " | ")+" |")
		}
		_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		fmt.Fprintln(out, strings.Join(row, "\t")+"\t")
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, s.Flatness())
	if s.Ended != "" {
		_, err = fmt.Fprintln(w, s.Ended)
	}
	return err
}

// Flatness says how far processor time per delivery lies apart over the sweep, and
// with a yardstick its own and the ratio to it, which tells the server's part of that
// from the machine's.
func (s *Sweep) Flatness() string {
	low, high, ok := s.extremes(perDelivery)
	if !ok {
		return "The server's processor time is not known."
	}
	text := fmt.Sprintf("CPU per delivery: %.2f to %.2f µs, the largest %.0f %% above the least", low, high, 100*(high/low-1))
	if low, high, ok = s.extremes(ratioOfDeliveries); !ok {
		return text + "."
	}
	bareLow, bareHigh, _ := s.extremes(yardstickPerDelivery)
	return fmt.Sprintf("%s; the yardstick's: %.2f to %.2f µs, %.0f %%; the ratio: %.2f to %.2f, %.0f %%.",
		text, bareLow, bareHigh, 100*(bareHigh/bareLow-1), low, high, 100*(high/low-1))
}

// extremes are the least and the largest median of a figure; false if it is known
// nowhere.
func (s *Sweep) extremes(of func(*Run) (float64, bool)) (low, high float64, ok bool) {
	low = math.Inf(1)
	for i := range s.Points {
		if _, median, _, known := s.Points[i].spreadOf(of); known && median > 0 {
			low, high = min(low, median), max(high, median)
		}
	}
	return low, high, high > 0
}
