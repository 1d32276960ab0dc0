package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/trial"
)

// sweepOptions are those of crowd, and what changes from run to run.
type sweepOptions struct {
	crowdOptions
	over     string
	values   []float64
	keepRate bool
}

func sweepCommand() *cobra.Command {
	o := sweepOptions{crowdOptions: crowdOptions{maxMiss: 1}}
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "See how the cost of an action and the misses grow with the work",
		Long: `Makes a run of a crowd for each value of a parameter, and shows processor time per action and
delivery and what was missed against it: a table, and with --report a page with plots.

Parameters: participants; rate (lambda); density (a factor, for scenarios with clusters);
group-size (of groups and matches); shards (over which groups are spread); owners (processes that
own shards: --self with store redis); work (microseconds that each action keeps a processor busy
for each neighbour: moves become calls of the function work).

With --yardstick a bare broadcast loop has the same crowd at each value, too, and the cost of a
delivery is told absolute and as a ratio to it: what grows with both is the machine's.`,
		Example: `  starling loadtest sweep --self --scenario street --over participants --values 400,1000,2000,4000
  starling loadtest sweep --self --scenario street --over shards --values 3,10,100 --participants 800 --yardstick --report out
  starling loadtest sweep --self --store redis --over owners --values 1,2,4 --seeds 3 --json sweep.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interrupted(o.run(cmd.Context(), cmd.OutOrStdout()))
		},
	}
	o.commonFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.over, "over", "participants", "the parameter: "+strings.Join(trial.Parameters(), ", "))
	flags.Var((*numbers)(&o.values), "values", "its values, separated by commas")
	flags.BoolVar(&o.keepRate, "keep-rate", false, "with more participants each acts less, so that the rate of all stays that of the first value")
	flags.Lookup("seeds").Usage = "how many runs for each value, with seeds from --seed on (default: 1)"
	_ = cmd.MarkFlagRequired("values")
	return cmd
}

// numbers is a list like "400,1e3".
type numbers []float64

func (n *numbers) String() string {
	var texts []string
	for _, v := range *n {
		texts = append(texts, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(texts, ",")
}
func (n *numbers) Type() string { return "numbers" }
func (n *numbers) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(v >= 0) {
			return fmt.Errorf("%q: want numbers, none below 0", part)
		}
		*n = append(*n, v)
	}
	return nil
}

func (o *sweepOptions) run(ctx context.Context, out io.Writer) error {
	s, err := o.spec()
	if err != nil {
		return err
	}
	view := o.begin(&s)
	defer view.Close()
	var runs []report.Run
	for _, value := range o.values {
		with, err := s.With(o.over, value)
		if err != nil {
			return err
		}
		if o.keepRate && o.over == "participants" {
			with.Rate = s.Lambda() * o.values[0] / value
		}
		for i := range max(o.seeds, 1) {
			with.Seed = o.seed + uint64(i)
			with.Title = fmt.Sprintf("%s, %s %g, seed %d", s.Scenario.Name, o.over, value, with.Seed)
			r, err := o.once(ctx, with, len(runs))
			if err != nil {
				err = fmt.Errorf("%s %g: %w", o.over, value, err)
			}
			if err != nil && len(runs) > 0 { // the others are not lost
				view.Close()
				err = early(runs, len(o.values)*max(o.seeds, 1), err)
				return errors.Join(o.conclude(out, runs, err.Error()), err)
			}
			if err != nil {
				return err
			}
			runs = append(runs, *r)
		}
	}
	view.Close()
	return o.conclude(out, runs, "")
}

// conclude shows the runs, and why there are no more.
func (o *sweepOptions) conclude(out io.Writer, runs []report.Run, ended string) error {
	sweep, err := report.NewSweep(o.over, runs)
	if err != nil {
		return err
	}
	sweep.Ended = ended
	if o.json != "" {
		err = report.WriteFile(o.json, runs...)
	}
	if o.json == "-" {
		out = os.Stderr
	}
	if o.report != "" {
		err = errors.Join(err, report.WriteSweepPage(o.report, sweep))
	}
	return errors.Join(err, sweep.WriteTable(out, false))
}
