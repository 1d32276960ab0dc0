package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/charmbracelet/x/term"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// column is a column of the list of functions. Where there is too little room the
// columns with the highest spare go first; 0 always stays.
type column struct {
	head  string
	spare int
	cell  func(*seenFunctions, *clusterv1.FunctionStatus) string
}

type functionStatus = clusterv1.FunctionStatus

var functionColumns = []column{
	{"FUNCTION", 0, func(_ *seenFunctions, f *functionStatus) string {
		if f.PartOf != "" && !strings.HasPrefix(f.Name, f.PartOf+"/") {
			return f.PartOf + "/" + f.Name
		}
		return f.Name
	}},
	{"NODE", 7, func(_ *seenFunctions, f *functionStatus) string { return f.Node }},
	{"SHAPE", 10, func(_ *seenFunctions, f *functionStatus) string { return f.Shape }},
	{"CLASS", 11, func(_ *seenFunctions, f *functionStatus) string { return f.Class }},
	{"CONTRACT", 0, func(_ *seenFunctions, f *functionStatus) string { return contract(f.Contract) }},
	{"RUNS/S", 0, func(s *seenFunctions, f *functionStatus) string {
		return fmt.Sprintf("%.1f", s.rate(f, (*functionStatus).GetInvocations))
	}},
	{"MISSES/S", 6, func(s *seenFunctions, f *functionStatus) string {
		return fmt.Sprintf("%.1f", s.rate(f, (*functionStatus).GetMisses))
	}},
	{"REFUSALS/S", 1, func(s *seenFunctions, f *functionStatus) string { return fmt.Sprintf("%.1f", s.rate(f, refusals)) }},
	{"MISSED", 0, func(_ *seenFunctions, f *functionStatus) string { return missed(f) }},
	{"QUEUE P50/P99", 5, func(_ *seenFunctions, f *functionStatus) string { return between(f.QueueSeconds) }},
	{"RUN P50/P99", 2, func(_ *seenFunctions, f *functionStatus) string { return between(f.RunSeconds) }},
	{"USED GB S", 4, func(_ *seenFunctions, f *functionStatus) string { return fmt.Sprintf("%.3g", f.UsedGbS) }},
	{"R GB S", 8, func(_ *seenFunctions, f *functionStatus) string { return fmt.Sprintf("%.3g", f.ReservedGbS) }},
	{"R CORE S", 3, func(_ *seenFunctions, f *functionStatus) string { return fmt.Sprintf("%.3g", f.ReservedCoreS) }},
}

// columnGap stands between two columns.
const columnGap = 2

// list writes the table, with as many columns as fit into width characters; all if that
// is 0.
func (s *seenFunctions) list(to io.Writer, width int) error {
	columns := slices.Clone(functionColumns)
	left := 0
	for width > 0 && s.wide(columns) > width {
		out := 0
		for i, c := range columns {
			if c.spare > columns[out].spare {
				out = i
			}
		}
		if columns[out].spare == 0 {
			break
		}
		left++
		columns = slices.Delete(columns, out, out+1)
	}
	w := tabwriter.NewWriter(to, 0, 0, columnGap, ' ', 0)
	row := func(cell func(column) string) {
		for i, c := range columns {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell(c))
		}
		fmt.Fprintln(w)
	}
	row(func(c column) string { return c.head })
	for _, f := range s.now.Functions {
		row(func(c column) string { return c.cell(s, f) })
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, node := range s.now.Silent {
		fmt.Fprintf(to, "? %s does not answer\n", node)
	}
	if left == 0 {
		return nil
	}
	_, err := fmt.Fprintf(to, "%d more columns: --wide\n", left)
	return err
}

// wide is how many characters the table takes with these columns.
func (s *seenFunctions) wide(columns []column) int {
	sum := columnGap * (len(columns) - 1)
	for _, c := range columns {
		most := utf8.RuneCountInString(c.head)
		for _, f := range s.now.Functions {
			most = max(most, utf8.RuneCountInString(c.cell(s, f)))
		}
		sum += most
	}
	return sum
}

// terminalWidth is how many characters a line of the terminal has; 0 if out is none.
func terminalWidth(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		return 0
	}
	width, _, err := term.GetSize(file.Fd())
	if err != nil {
		return 0
	}
	return width
}
