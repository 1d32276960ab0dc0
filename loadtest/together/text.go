package together

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/starling-vr/starling/loadtest/report"
)

// Write prints the table.
func (t *Table) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "workload\trequired\treached\tdeadline\tin time\tmet\tscales with")
	for i := range t.Rows {
		r := &t.Rows[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%v %s\t%s\t%s\t%s\n", r.Workload, perSecond(r.RequiredPerS), perSecond(r.ReachedPerS),
			time.Duration(r.DeadlineNS), kind(r.Hard), r.inTime(), yes(r.Met), r.ScalesWith)
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Limits != "" {
			fmt.Fprintf(w, "\n%s: %s\n", r.Workload, r.Limits)
		}
		if len(r.Sweep) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\toffered\tachieved\tmissed\tµs each\n", r.Workload)
		for _, p := range r.Sweep {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%.2f %%\t%.0f\n", p.Label, perSecond(p.OfferedPerS), perSecond(p.AchievedPerS), 100*p.Missed, p.CPUUS)
		}
	}
	return w.Flush()
}

func (r *Row) inTime() string {
	if r.ReachedPerS == 0 {
		return "-"
	}
	text := fmt.Sprintf("%.2f %%", 100*r.Within)
	if r.WithinFloor > 0 {
		text += fmt.Sprintf(" (empty loop %.2f %%)", 100*r.WithinFloor)
	}
	return text
}

// Write prints the mix.
func (m *Mix) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\twith contracts\twithout")
	line := func(name, format string, of func(*Share) []any) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, fmt.Sprintf(format, of(&m.With)...), fmt.Sprintf(format, of(&m.Without)...))
	}
	line("actions", "%s of %s, M %.2f %%, p99 %.1f ms: %s", func(s *Share) []any {
		a := &s.Actions
		return []any{perSecond(a.GoodputPerS), perSecond(a.OfferedPerS), 100 * a.MissRate, a.P99MS, kept(a.Kept)}
	})
	line("annotation", "%s of %s, %s admitted, F_l %.2f %%, p99 %.1f ms, shed %.2f: %s", func(s *Share) []any {
		a := &s.Annotation
		return []any{perSecond(a.GoodputPerS), perSecond(a.OfferedPerS), perSecond(a.AdmittedPerS), 100 * a.LateFraction, a.P99MS, a.ShedFraction, kept(a.Kept)}
	})
	line("trigger", "%s, %.2f %% in 3 µs, %.1f %% of the empty loop: %s", func(s *Share) []any {
		a := &s.Trigger
		return []any{perSecond(a.RatePerS), 100 * a.Within3US, 100 * a.OfEmpty, kept(a.Kept)}
	})
	return w.Flush()
}

func kept(is bool) string {
	if is {
		return "kept"
	}
	return "not kept"
}

func kind(hard bool) string {
	if hard {
		return "hard"
	}
	return "soft"
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func perSecond(rate float64) string {
	switch {
	case rate >= 1e6:
		return fmt.Sprintf("%.4g M/s", rate/1e6)
	case rate >= 1e4:
		return fmt.Sprintf("%.4g K/s", rate/1e3)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

// TableSchema gives the JSON Schema (2020-12) of a table.
func TableSchema() *jsonschema.Schema {
	return report.SchemaOf[Table]("Starling table 1", "Result of `starling loadtest table1`.")
}

// MixSchema gives the JSON Schema (2020-12) of a mix.
func MixSchema() *jsonschema.Schema {
	return report.SchemaOf[Mix]("Starling mix", "Result of `starling loadtest mix`.")
}

// WriteFile writes a [Table] or a [Mix] as JSON; "-" is out, "" nothing.
func WriteFile(path string, out io.Writer, result any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if path == "-" {
		_, err = out.Write(text)
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
