package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/trigger"
)

type triggerOptions struct {
	spec      trigger.Spec
	minWithin share
	json      string
	plain     bool
}

// operations is a number that may be written as 1e6.
type operations int

func (o *operations) String() string { return strconv.Itoa(int(*o)) }
func (o *operations) Type() string   { return "int" }
func (o *operations) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != math.Trunc(v) || !(v > 0 && v <= 1e15) {
		return fmt.Errorf("%q: want operations like 1000000 or 1e6", text)
	}
	*o = operations(v)
	return nil
}

// withinTooFew is the exit status when --min-within is not met.
const withinTooFew = 3

func triggerCommand() *cobra.Command {
	o := triggerOptions{}
	s := &o.spec
	cmd := &cobra.Command{
		Use:   "trigger",
		Short: "Drive the trigger: records that fall due by the clock, tens of millions a second",
		Long: `Lets records fall due by the processor's clock over memory filled beforehand, and measures the time
from when each was due to its decision. Selected records go through the secondary chain, samples
to updateModel, each an invocation of its own, and new weights are swapped in while it runs.

In turns with the network a function that does nothing runs on the same schedule: what even that
misses is the machine's doing. The pollers run in a process of their own.
Exit status 3 when less came within the limit than --min-within asks for, as share of the empty loop.`,
		Example: `  starling loadtest trigger --rate 40e6 --net jet --limit 300ns --json run.json
  starling loadtest trigger --rate 20e6 --net image --place memory
  starling loadtest trigger --rate max --net jet --batch 16 --cores 1
  starling loadtest trigger --rate 30 --op 1000000 --size 1048576 --limit 1ms --poller yielding --cores 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interrupted(o.run(cmd.Context(), cmd.OutOrStdout()))
		},
	}
	s.Rate, s.Pace = 40e6, "pinned"
	flags := cmd.Flags()
	flags.Var(&s.Rate, "rate", "N_t: records per second, or max for as many as can be decided")
	flags.StringVar(&s.Net, "net", "", "`NAME` of a network that comes with Starling ("+strings.Join(trigger.Networks(), ", ")+"); default jet, unless --op and --size are given")
	flags.Var((*operations)(&s.Operations), "op", "Op: operations for each record; with --size a network of the generated family")
	flags.IntVar(&s.Size, "size", 0, "S_t: bytes of a record")
	flags.DurationVar(&s.Limit, "limit", 300*time.Nanosecond, "L_t: from when a record is due to its decision")
	flags.Float64Var(&s.SampleRate, "sample-rate", 1000, "N_s: samples per second for updateModel")
	flags.Float64Var(&s.Select, "select", 1e-4, "share of the background that the network is set to select")
	flags.DurationVar(&s.SwapEvery, "swap-every", time.Second, "how often new weights are swapped in; 0 for never")
	flags.DurationVar(&s.Duration, "duration", 10*time.Second, "for how long the network runs; the empty function takes half as long on top")
	flags.DurationVar(&s.Turn, "turn", time.Second, "how long the network runs before it is the empty function's turn")
	flags.StringVar((*string)(&s.Pace), "poller", "pinned", "pinned (spins on a core of its own) or yielding (leaves it while nothing is due)")
	flags.IntVar(&s.Cores, "cores", 0, "pollers, each on a core (default: all cores)")
	flags.IntVar(&s.Batch, "batch", 0, "the most records decided at once (default: 64)")
	flags.StringVar(&s.Place, "place", "l2", "where the records lie: "+strings.Join(trigger.Places(), ", "))
	flags.StringVar(&s.Instructions, "instructions", "", "kernels for these: vnni, avx2 or go (default: the best that the machine has)")
	flags.IntVar(&s.Nice, "nice", -19, "niceness of the pollers; below 0 where allowed")
	flags.Uint64Var(&s.Seed, "seed", 1, "of everything random")
	flags.StringVar(&s.Label, "label", "", "what this run is called in its result")
	flags.Var(&o.minWithin, "min-within", "share of what the empty loop has within the limit, for exit status 3")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`, or - for standard output")
	flags.BoolVar(&o.plain, "plain", false, "plain lines instead of the live view")
	return cmd
}

// triggerProcessCommand is the process that the pollers run in.
func triggerProcessCommand() *cobra.Command {
	return &cobra.Command{
		Use: trigger.ProcessCommand[1], Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return trigger.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func (o *triggerOptions) run(ctx context.Context, out io.Writer) error {
	s := &o.spec
	if s.Net == "" && s.Operations == 0 && s.Size == 0 {
		s.Net = trigger.Networks()[0]
	}
	if math.IsInf(float64(s.Rate), 1) && o.minWithin > 0 {
		return fmt.Errorf("--min-within says nothing of --rate max: no record is late there")
	}
	s.Command = withoutSecrets(os.Args)
	view := trigger.NewView(os.Stderr, o.plain)
	result, err := trigger.Process(ctx, "", *s, view.Show)
	if err != nil {
		return err
	}
	if err := trigger.WriteFile(o.json, result); err != nil {
		return err
	}
	if o.json == "-" {
		out = os.Stderr
	}
	if err := trigger.Summarize(out, result); err != nil {
		return err
	}
	if got := result.WithinLimit(); got < float64(o.minWithin) {
		return &statusError{withinTooFew, fmt.Sprintf("%.2f %% of what the empty loop has came within %v, less than --min-within %s", 100*got, s.Limit, o.minWithin.String())}
	}
	return nil
}
