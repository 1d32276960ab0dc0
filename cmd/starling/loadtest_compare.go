package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/report/compare"
)

// gotWorse is the exit status of --fail-if-worse.
const gotWorse = 4

func compareCommand() *cobra.Command {
	var asJSON, failIfWorse bool
	cmd := &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Say what changed between two load tests beyond noise",
		Long: `Compares results that ` + "`starling loadtest crowd --json`" + ` wrote: A before, B after. A side may be several
files, separated by commas, or one with several runs in it (seeds); more runs tell smaller changes
from noise. "-" is standard input.

With several runs a figure has changed if Welch's 99 % interval of the difference leaves out 0.
With one run on each side the difference must be larger than what two runs of the same thing
differ by on a shared machine (20 % of processor time and latencies, half of a miss rate), and
than the 99 % interval over the seconds of the runs.

Exit status 4 with --fail-if-worse if anything got worse beyond noise.`,
		Example: `  starling loadtest compare before.json after.json
  starling loadtest compare main-1.json,main-2.json,main-3.json mine-1.json,mine-2.json,mine-3.json --fail-if-worse
  starling loadtest compare before.json after.json --json | jq .worse`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := readRuns(args[0])
			if err != nil {
				return err
			}
			after, err := readRuns(args[1])
			if err != nil {
				return err
			}
			c := compare.Compare(before, after)
			if err := writeComparison(cmd.OutOrStdout(), c, asJSON); err != nil {
				return err
			}
			if failIfWorse && len(c.Worse) > 0 {
				return &statusError{gotWorse, "worse beyond noise: " + strings.Join(c.Worse, ", ")}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print the comparison as JSON")
	flags.BoolVar(&failIfWorse, "fail-if-worse", false, "exit with status 4 if anything got worse beyond noise")
	return cmd
}

// readRuns reads one side of a comparison.
func readRuns(paths string) (runs []report.Run, err error) {
	for path := range strings.SplitSeq(paths, ",") {
		found, err := report.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a result: %w", err)
		}
		runs = append(runs, found...)
	}
	return runs, nil
}

func writeComparison(out io.Writer, c *compare.Comparison, asJSON bool) error {
	if !asJSON {
		return c.Write(out)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(c)
}
