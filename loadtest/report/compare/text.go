package compare

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Write writes the comparison for people.
func (c *Comparison) Write(w io.Writer) error {
	for _, side := range []struct {
		name string
		runs []string
	}{{"A", c.Before}, {"B", c.After}} {
		for _, run := range side.runs {
			fmt.Fprintf(w, "%s  %s\n", side.name, run)
		}
	}
	for _, d := range c.Differ {
		fmt.Fprintln(w, "they differ in", d)
	}
	for _, warning := range c.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	fmt.Fprintln(w)
	if err := c.table(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", c.Summary(), c.method())
	return err
}

func (c *Comparison) table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	widest := 0
	for i := range c.Changes {
		widest = max(widest, len(c.Changes[i].Figure))
	}
	fmt.Fprintf(table, "%-*s\tA\tB\tchange\tnoise\t\t\n", widest, "figure")
	for i := range c.Changes {
		change := &c.Changes[i]
		noise, verdict := "", string(change.Verdict)
		if change.Noise != nil {
			noise = "± " + strings.TrimLeft(change.write(*change.Noise, true), "+")
		}
		if change.Verdict == NotJudged {
			verdict = ""
		}
		fmt.Fprintf(table, "%-*s\t%s\t%s\t%s\t%s\t%s\t\n", widest, change.Figure, change.write(change.Before, false), change.write(change.After, false),
			change.difference(), noise, verdict)
	}
	return table.Flush()
}

// difference writes the change, of figures with a unit as a percentage too.
func (c *Change) difference() string {
	text := c.write(c.Change, true)
	if c.Unit != "" && c.Before != 0 {
		text += fmt.Sprintf(" (%+.1f%%)", 100*c.Change/c.Before)
	}
	return text
}

// write writes a value in the figure's unit, or a difference of two.
func (c *Change) write(x float64, difference bool) string {
	sign := ""
	if difference && x != 0 {
		sign = "+"
	}
	if c.Unit == "" {
		unit := "%"
		if difference {
			unit = " pp"
		}
		return fmt.Sprintf("%"+sign+".*f%s", digits(100*x), 100*x, unit)
	}
	return fmt.Sprintf("%"+sign+".*f %s", digits(x), x, c.Unit)
}

// digits after the point that say something.
func digits(x float64) int {
	switch x = math.Abs(x); {
	case x >= 100 || x == 0:
		return 0
	case x >= 10:
		return 1
	case x >= 0.1:
		return 2
	}
	return 3
}

// Summary says in a sentence what changed.
func (c *Comparison) Summary() string {
	var parts []string
	if len(c.Worse) > 0 {
		parts = append(parts, "Worse beyond noise: "+strings.Join(c.Worse, ", ")+".")
	}
	if len(c.Better) > 0 {
		parts = append(parts, "Better beyond noise: "+strings.Join(c.Better, ", ")+".")
	}
	if len(parts) == 0 {
		return "Nothing changed beyond noise."
	}
	return strings.Join(parts, " ")
}

func (c *Comparison) method() string {
	if len(c.Before) > 1 || len(c.After) > 1 {
		return "Noise: Welch's 99 % interval over the runs, and no less than a floor (3 % of latencies and processor time)."
	}
	return "Noise: one run on each side, so at least what two runs of the same thing differ by on a shared machine (20 % of processor time and latencies,\nhalf of a miss rate), or the 99 % interval over the seconds of the runs. Several seeds tell more."
}
