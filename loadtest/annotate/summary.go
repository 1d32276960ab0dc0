package annotate

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Summarize says what matters in a few lines.
func Summarize(out io.Writer, r *Result) error {
	verdict := "NOT MET"
	if r.Met {
		verdict = "met"
	}
	_, err := fmt.Fprintf(out, `annotation %s, %s words, %s, D %g ms: %s
offered %.0f/s, achieved %.0f/s; of %d documents late %d, refused %d, failed %d, lost %d: F_l %.4f %%, of those admitted %.4f %%
latency p50 %.2f, p99 %.2f, p99.9 %.2f, max %.2f ms
shed %s
CPU %s us a document, functions %s us; Used %s, R %s GB s and %s core s
generator %.2f CPU s, lag p99 %.2f ms
`, r.Through, r.Words, r.Arrivals, r.Deadline, verdict,
		r.OfferedPerS, r.AchievedPerS, r.Documents, r.Late, r.Refused, r.Failed, r.Lost, 100*r.LateFraction, 100*r.AdmittedLateFraction,
		r.LatencyMS.P50, r.LatencyMS.P99, r.LatencyMS.P999, r.LatencyMS.Max, counts(r.Shed),
		known(r.CPUUSPerDocument), known(r.ComputeUSDocument), known(r.UsedGBS), known(r.ReservedGBS), known(r.ReservedCoresS),
		r.Generator.CPUS, r.Generator.LagP99MS)
	if err == nil && len(r.RefusedByCode) > 0 {
		_, err = fmt.Fprintf(out, "not annotated: %s\n", counts(r.RefusedByCode))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Reasons)) {
		if err == nil {
			_, err = fmt.Fprintf(out, "  the first %s: %s\n", code, r.Reasons[code])
		}
	}
	if err == nil && len(r.Missing) > 0 {
		_, err = fmt.Fprintf(out, "functions that did not end: %s\n", counts(r.Missing))
	}
	return err
}

func counts(of map[string]int64) string {
	if len(of) == 0 {
		return "nothing"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(parts, ", ")
}

func known(v *float64) string {
	if v == nil {
		return "?"
	}
	return fmt.Sprintf("%.4g", *v)
}
