package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/together"
)

// togetherOptions are common to what runs several load testers.
type togetherOptions struct {
	duration time.Duration
	json     string
}

func (o *togetherOptions) flags(cmd *cobra.Command, duration time.Duration) {
	cmd.Flags().DurationVar(&o.duration, "duration", duration, "the measured time of each run")
	cmd.Flags().StringVar(&o.json, "json", "", "write the result to this `FILE`, or - for standard output")
}

// runner gives what starts the testers, and what ends it.
func (o *togetherOptions) runner() (r *together.Runner, end func(), err error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "starling-loadtest-")
	if err != nil {
		return nil, nil, err
	}
	tell := func(line string) { fmt.Fprintln(os.Stderr, line) }
	return &together.Runner{Binary: binary, Dir: dir, Tell: tell}, func() { _ = os.RemoveAll(dir) }, nil
}

// togetherResult is a [together.Table] or a [together.Mix].
type togetherResult interface{ Write(io.Writer) error }

func (o *togetherOptions) tell(out io.Writer, result togetherResult) error {
	if err := together.WriteFile(o.json, out, result); err != nil {
		return err
	}
	if o.json == "-" {
		out = os.Stderr
	}
	return result.Write(out)
}

func table1Command() *cobra.Command {
	o := togetherOptions{}
	var seeds int
	var sweeps bool
	cmd := &cobra.Command{
		Use:   "table1",
		Short: "Hold this machine against the paper's table of three workloads",
		Long: `Runs the load testers of the trigger, of actions and of annotation one after another, each with its
server on this machine, and prints what was reached beside what Table 1 of "Motivating High
Performance Serverless Workloads" (HiPS '21) requires. The table's third column, what a workload
scales with, comes as sweeps: users for actions, functions and workflows for annotation.

Actions are pairs of people (scenario sparse) with Redis at disk, M at most 1 %; documents have 50 to
750 words and come through HTTP, F_l at most 0.1 %. It takes about ten minutes.`,
		Example: `  starling loadtest table1 --json table1.json
  starling loadtest table1 --duration 3s --seeds 1 --sweeps=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interrupted(o.run(func(r *together.Runner) (togetherResult, error) {
				return together.Table1(cmd.Context(), r, together.TableOptions{Duration: o.duration, Seeds: seeds, Sweeps: sweeps, Command: withoutSecrets(os.Args)})
			}, cmd.OutOrStdout()))
		},
	}
	o.flags(cmd, 6*time.Second)
	seeds = 3
	cmd.Flags().Var((*count)(&seeds), "seeds", "how many seeds a rate has to hold for")
	cmd.Flags().BoolVar(&sweeps, "sweeps", true, "the third column, too")
	return cmd
}

func mixCommand() *cobra.Command {
	o := togetherOptions{}
	m := together.MixOptions{}
	cmd := &cobra.Command{
		Use:   "mix",
		Short: "Run the three workloads at once and see whether each keeps its contract",
		Long: `Runs actions (scenario street), document annotation and the trigger at once on this machine, with
contracts and then without, and prints what each got:

  actions      M of 1 % at most at 15 ms, at half of what the street holds by itself (--actions)
  annotation   a guaranteed rate, F_l of 1 % at most of what was admitted, while twice as much is
               offered beyond it as there is room for
  trigger      100 kHz decided within 3 us by a poller that leaves its core while nothing is due,
               held against what an empty loop gets in the same mix`,
		Example: `  starling loadtest mix --actions 3000 --json mix.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m.Duration, m.Command = o.duration, withoutSecrets(os.Args)
			return interrupted(o.run(func(r *together.Runner) (togetherResult, error) {
				return together.RunMix(cmd.Context(), r, m)
			}, cmd.OutOrStdout()))
		},
	}
	o.flags(cmd, 10*time.Second)
	flags := cmd.Flags()
	flags.Float64Var(&m.Actions, "actions", 2000, "actions per second: half of what starling loadtest crowd --self --scenario street --find-limit finds")
	flags.Float64Var(&m.Guarantee, "documents", 500, "documents per second that are guaranteed")
	flags.Float64Var(&m.Trigger, "trigger", 100e3, "records per second of the trigger")
	flags.Uint64Var(&m.Seed, "seed", 1, "of everything random")
	return cmd
}

func (o *togetherOptions) run(work func(*together.Runner) (togetherResult, error), out io.Writer) error {
	if o.duration <= 0 {
		return fmt.Errorf("--duration %v: want a time above 0", o.duration)
	}
	if err := report.Writable(o.json, ""); err != nil {
		return err
	}
	r, end, err := o.runner()
	if err != nil {
		return err
	}
	defer end()
	result, err := work(r)
	if err != nil {
		return err
	}
	return o.tell(out, result)
}
