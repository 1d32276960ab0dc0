package together

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-vr/starling/loadtest/annotate"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/trigger"
)

// TableFormat names the JSON form of a [Table].
const TableFormat = "starling-loadtest-table1"

// Version of the forms of this package. Within a version fields are only added.
const Version = 1

// Table is the paper's Table 1, with what this machine reached beside what is
// required.
type Table struct {
	Format  string         `json:"format" jsonschema:"always starling-loadtest-table1"`
	Version int            `json:"version" jsonschema:"version of this form"`
	Started time.Time      `json:"started" jsonschema:"when the first tester began (RFC 3339)"`
	Command string         `json:"command,omitempty" jsonschema:"the command line"`
	Rows    []Row          `json:"rows" jsonschema:"trigger, actions and annotation"`
	Machine report.Machine `json:"machine" jsonschema:"where all of it ran, the load testers included"`
}

// Row is a workload of the table.
type Row struct {
	Workload     string  `json:"workload" jsonschema:"trigger, actions or annotation"`
	RequiredPerS float64 `json:"required_per_s" jsonschema:"invocations per second that the paper requires"`
	ReachedPerS  float64 `json:"reached_per_s" jsonschema:"invocations per second within the requirement of latency; of the trigger: decided per second at the required rate"`
	DeadlineNS   int64   `json:"deadline_ns" jsonschema:"latency required, nanoseconds"`
	Hard         bool    `json:"hard" jsonschema:"true if a late result is worthless"`
	Within       float64 `json:"within" jsonschema:"share of the invocations due that were in time, at the rate reached"`
	WithinFloor  float64 `json:"within_floor,omitempty" jsonschema:"of the trigger: the share that a function that does nothing had in time in the same run"`
	Met          bool    `json:"met" jsonschema:"the required rate was reached in time"`
	Limits       string  `json:"limits,omitempty" jsonschema:"what of this machine limits it; of a search that found no rate, what it tried at the lowest"`
	ScalesWith   string  `json:"scales_with" jsonschema:"the table's third column"`
	Sweep        []Point `json:"sweep,omitempty" jsonschema:"runs with more and more of that"`
}

// Point is a run of a sweep.
type Point struct {
	Label        string  `json:"label" jsonschema:"what was swept, with its value"`
	OfferedPerS  float64 `json:"offered_per_s" jsonschema:"invocations due, per second"`
	AchievedPerS float64 `json:"achieved_per_s" jsonschema:"of these, carried out (actions) or answered in time (documents)"`
	Missed       float64 `json:"missed" jsonschema:"share that missed the deadline: of expected deliveries (actions) or of documents"`
	CPUUS        float64 `json:"cpu_us" jsonschema:"processor microseconds of the server for each; 0 if unknown"`
}

// TableOptions say how long to look.
type TableOptions struct {
	Duration time.Duration // of each measured run
	Seeds    int           // of the searches for limits
	Sweeps   bool          // the third column, too
	Command  string
}

// The requirements of Table 1; of annotation the text's 100 ms, which is stricter
// than the table's 200.
const (
	triggerRate, triggerDeadline       = 40e6, 300 * time.Nanosecond
	actionRate, actionDeadline         = 50_000, 15 * time.Millisecond
	annotationRate, annotationDeadline = 12_000, 100 * time.Millisecond
	actionMisses                       = 0.01
)

// Table1 runs the three testers one after another.
func Table1(ctx context.Context, r *Runner, o TableOptions) (*Table, error) {
	t := &Table{Format: TableFormat, Version: Version, Started: time.Now(), Command: o.Command}
	for _, run := range []func(context.Context, *Runner, TableOptions, *Table) (Row, error){triggerRow, actionsRow, annotationRow} {
		row, err := run(ctx, r, o, t)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func triggerRow(ctx context.Context, r *Runner, o TableOptions, t *Table) (Row, error) {
	row := Row{Workload: "trigger", RequiredPerS: triggerRate, DeadlineNS: int64(triggerDeadline), Hard: true, ScalesWith: "not applicable"}
	var found trigger.Result
	err := r.Run(ctx, "trigger", []string{"trigger", "--plain", "--net", "jet", "--rate", number(triggerRate), "--limit", triggerDeadline.String(), "--duration", o.Duration.String()}, &found)
	if err != nil {
		return row, err
	}
	t.Machine = found.Machine.Machine
	row.ReachedPerS, row.Within, row.WithinFloor, row.Met = found.RatePerS, found.InLimit, found.EmptyLimit, found.Met
	row.Limits = strings.Join(found.Machine.Limits, "; ")
	return row, nil
}

// asInProduction are the arguments of a server of actions with everything on.
var asInProduction = []string{"--self", "--store", "redis", "--durability", "disk"}

func actionsRow(ctx context.Context, r *Runner, o TableOptions, _ *Table) (Row, error) {
	row := Row{Workload: "actions", RequiredPerS: actionRate, DeadlineNS: int64(actionDeadline), ScalesWith: "users"}
	common := append([]string{"--plain", "--scenario", "sparse", "--duration", o.Duration.String(), "--seeds", strconv.Itoa(o.Seeds)}, asInProduction...)
	var limit report.Limit
	err := r.Run(ctx, "actions", append([]string{"crowd", "--find-limit", "--repeats", "3", "--precision", "0.1", "--max-miss", number(actionMisses)}, common...), &limit)
	if err != nil {
		return row, err
	}
	row.ReachedPerS = limit.RatePerS
	var tries []tried
	for _, t := range limit.Tries {
		tries = append(tries, tried{t.OfferedPerS, t.MissRate})
	}
	row.explain(limit.Found, tries)
	var expected, missed int64
	for i := range limit.Runs {
		expected, missed = expected+limit.Runs[i].DeliveriesExpected, missed+limit.Runs[i].DeliveriesMissed
	}
	if expected > 0 {
		row.Within = 1 - float64(missed)/float64(expected)
	}
	row.Met = limit.Found && row.ReachedPerS >= actionRate
	if !o.Sweeps {
		return row, nil
	}
	var runs runList
	err = r.Run(ctx, "actions-sweep", append([]string{"sweep", "--over", "participants", "--values", "100,200,400,800"}, common...), &runs)
	for i := range runs {
		row.Sweep = append(row.Sweep, pointOf(&runs[i]))
	}
	return row, err
}

// tried is a run of a search for a limit.
type tried struct{ perS, missed float64 }

// explain says of a search that found nothing what it tried at the lowest.
func (r *Row) explain(found bool, tries []tried) {
	if found || len(tries) == 0 {
		return
	}
	lowest := slices.MinFunc(tries, func(a, b tried) int { return cmp.Compare(a.perS, b.perS) })
	r.Limits = fmt.Sprintf("no rate held: at %s, the lowest of %d tried, %.2f %% missed", perSecond(lowest.perS), len(tries), 100*lowest.missed)
}

// runList is how runs are written: several as an array, one by itself.
type runList []report.Run

func (l *runList) UnmarshalJSON(text []byte) error {
	var several []report.Run
	if err := json.Unmarshal(text, &several); err == nil {
		*l = several
		return nil
	}
	var one report.Run
	err := json.Unmarshal(text, &one)
	*l = runList{one}
	return err
}

func pointOf(r *report.Run) Point {
	p := Point{Label: fmt.Sprintf("%d users", r.Participants), OfferedPerS: r.OfferedPerS, AchievedPerS: r.AchievedPerS, Missed: r.MissRate}
	if r.Server != nil {
		p.CPUUS = r.Server.CPUUSPerAction
	}
	return p
}

// complexity are the numbers of functions and workflows that annotation is swept over.
var complexity = []struct{ functions, workflows int }{{4, 1}, {8, 2}, {16, 4}, {32, 8}}

// syntheticRate is how many documents a second those runs have, evenly: their functions
// take tenths of the deadline, as the paper's do, and two cores hold 20 of them. So that a
// point is of some 200 documents, it lasts syntheticRuns times as long as other runs.
const (
	syntheticRate   = 16
	syntheticRuns   = 4
	syntheticWarmup = 500 * time.Millisecond
)

func annotationRow(ctx context.Context, r *Runner, o TableOptions, _ *Table) (Row, error) {
	row := Row{Workload: "annotation", RequiredPerS: annotationRate, DeadlineNS: int64(annotationDeadline), Hard: true, ScalesWith: "functions and workflows"}
	var limit annotate.Limit
	err := r.Run(ctx, "annotation", []string{"annotate", "--self", "--find-limit", "--precision", "0.1", "--rate", "1000", "--max-late", "0.001",
		"--deadline", annotationDeadline.String(), "--duration", o.Duration.String(), "--seeds", strconv.Itoa(o.Seeds)}, &limit)
	if err != nil {
		return row, err
	}
	row.ReachedPerS = limit.RatePerS
	var tries []tried
	for _, t := range limit.Tries {
		tries = append(tries, tried{t.OfferedPerS, t.LateFraction})
	}
	row.explain(limit.Found, tries)
	var documents, inTime int64
	for i := range limit.Runs {
		documents, inTime = documents+limit.Runs[i].Documents, inTime+limit.Runs[i].InTime
	}
	if documents > 0 {
		row.Within = float64(inTime) / float64(documents)
	}
	row.Met = limit.Found && row.ReachedPerS >= annotationRate && inTime == documents
	for _, c := range complexity {
		if !o.Sweeps {
			break
		}
		var found annotate.Result
		err := r.Run(ctx, fmt.Sprintf("annotation-%d-%d", c.functions, c.workflows), []string{"annotate", "--synthetic",
			"--functions", strconv.Itoa(c.functions), "--workflows-of-them", strconv.Itoa(c.workflows),
			"--rate", number(syntheticRate), "--arrivals", "uniform", "--warmup", syntheticWarmup.String(), "--duration", (syntheticRuns * o.Duration).String()}, &found)
		if err != nil {
			return row, err
		}
		p := Point{Label: fmt.Sprintf("%d functions, %d workflows", c.functions, c.workflows), OfferedPerS: found.OfferedPerS, AchievedPerS: found.AchievedPerS, Missed: found.LateFraction}
		if found.CPUUSPerDocument != nil {
			p.CPUUS = *found.CPUUSPerDocument
		}
		row.Sweep = append(row.Sweep, p)
	}
	return row, nil
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
