package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/invoke"
)

func functionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "functions",
		Short: "Deployed functions, their contracts and accounts: list, describe",
	}
	var peer operatorPort
	peer.register(cmd.PersistentFlags())
	over := cmd.PersistentFlags().Duration("over", time.Second, "time over which rates are measured, e.g. 10s")
	wide := new(bool)
	list := &cobra.Command{
		Use:   "list",
		Short: "Show contracts, rates, misses, refusals, queue and run times, Used and R",
		Long: `Shows each deployed function on each process of the region, with rates measured over --over:

  CONTRACT       guaranteed runs a second, and when a result is due; none: best effort
  RUNS/S, MISSES/S, REFUSALS/S   of now; a miss ended after its deadline
  MISSED         share of the guaranteed runs that were late so far, and how many may be
  QUEUE, RUN     time waited and time run, median / 99th percentile
  USED GB S      memory x run time of all runs (GB x seconds)
  R GB S, R CORE S   memory and cores kept for it x time (GB x seconds, cores x seconds)

On a terminal the columns that do not fit are left out; --wide shows all, describe NAME all of one.`,
		Example: "  starling functions list\n  starling functions list --over 10s --wide",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			seen, err := peer.watchFunctions(cmd.Context(), *over)
			if err != nil {
				return err
			}
			width := 0
			if !*wide {
				width = terminalWidth(cmd.OutOrStdout())
			}
			return seen.list(cmd.OutOrStdout(), width)
		},
	}
	list.Flags().BoolVar(wide, "wide", false, "all columns, also where the terminal is too narrow for them")
	cmd.AddCommand(list,
		&cobra.Command{
			Use:     "describe NAME",
			Short:   "Show all that is known of a function, on each process that runs it",
			Example: "  starling functions describe move\n  starling functions describe TNN_inference --over 10s",
			Args:    cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				seen, err := peer.watchFunctions(cmd.Context(), *over)
				if err != nil {
					return err
				}
				return seen.describe(cmd.OutOrStdout(), args[0])
			},
		},
	)
	return cmd
}

// seenFunctions are the accounts at two times.
type seenFunctions struct {
	now, before *clusterv1.ListFunctionsReply
}

// watchFunctions asks twice, so that rates are those of now.
func (p *operatorPort) watchFunctions(ctx context.Context, over time.Duration) (*seenFunctions, error) {
	if over <= 0 {
		return nil, fmt.Errorf("--over %v: want a time above 0", over)
	}
	var seen seenFunctions
	read := func(into **clusterv1.ListFunctionsReply) error {
		return p.ask(ctx, func(ctx context.Context, o clusterv1.OperatorClient) (err error) {
			*into, err = o.ListFunctions(ctx, &clusterv1.ListFunctionsRequest{})
			return err
		})
	}
	if err := read(&seen.before); err != nil {
		return nil, err
	}
	select {
	case <-time.After(over):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return &seen, read(&seen.now)
}

// rate is how much faster than before something of f grows, per second.
func (s *seenFunctions) rate(f *clusterv1.FunctionStatus, count func(*clusterv1.FunctionStatus) uint64) float64 {
	for _, was := range s.before.Functions {
		if seconds := f.AgeSeconds - was.AgeSeconds; was.Node == f.Node && was.Name == f.Name && seconds > 0 && count(f) >= count(was) {
			return float64(count(f)-count(was)) / seconds
		}
	}
	return 0
}

func refusals(f *clusterv1.FunctionStatus) uint64 {
	var n uint64
	for _, more := range f.Refusals {
		n += more
	}
	return n
}

// contract tells the promise in short.
func contract(c *clusterv1.FunctionContract) string {
	switch {
	case c.GetRate() == 0 && c.GetDeadlineSeconds() == 0:
		return "none"
	case c.GetRate() == 0:
		return "within " + duration(c.DeadlineSeconds)
	}
	return fmt.Sprintf("%g/s within %s", c.Rate, duration(c.DeadlineSeconds))
}

func runTime(c *clusterv1.FunctionContract) string {
	if c.GetRunTimeSeconds() == 0 {
		return "what is learned"
	}
	return duration(c.RunTimeSeconds)
}

// missed is the share of the guaranteed ones that the contract lets miss, and did.
func missed(f *clusterv1.FunctionStatus) string {
	if f.Guaranteed == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f%% of %g%%", 100*float64(f.GuaranteedMisses)/float64(f.Guaranteed), 100*f.Contract.GetMissTarget())
}

func between(q *clusterv1.Quantiles) string {
	if q.GetCount() == 0 {
		return "-"
	}
	return duration(q.P50) + "/" + duration(q.P99)
}

// duration is a time with three digits.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
}

func (s *seenFunctions) describe(to io.Writer, name string) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	var known []string
	for _, f := range s.now.Functions {
		if known = append(known, f.Name); f.Name == name {
			s.describeOne(w, f)
		}
	}
	if slices.Contains(known, name) {
		return w.Flush()
	}
	slices.Sort(known)
	return noFunction(name, slices.Compact(known))
}

// noFunction names what may have been meant; of a workflow's function its name in the
// workflow is enough.
func noFunction(name string, known []string) error {
	for _, k := range known {
		if strings.HasSuffix(k, "."+name) || strings.HasSuffix(k, "/"+name) {
			return fmt.Errorf("no process runs a function %q; did you mean %q?", name, k)
		}
	}
	return fmt.Errorf("no process runs a function %q%s", name, config.Suggestion(name, known, "`starling functions list` shows all"))
}

func (s *seenFunctions) describeOne(w io.Writer, f *clusterv1.FunctionStatus) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	c := f.Contract
	line(f.Name, "on %s, %s, %s, deployed %v ago", f.Node, f.Shape, f.Class, time.Duration(f.AgeSeconds)*time.Second)
	if f.PartOf != "" {
		line("  part of", "%s, which keeps cores and memory for it", f.PartOf)
	}
	line("  contract", "%s, burst %d, at most %g%% late", contract(c), c.GetBurst(), 100*c.GetMissTarget())
	takes := runTime(c) + " (99th percentile)"
	if f.Shape == invoke.Stream.String() {
		takes = runTime(c) + " a record in full batches"
	}
	line("  a run", "takes %s, %d bytes", takes, c.GetMemory())
	line("  now", "%.1f runs/s, %.1f misses/s, %.1f refusals/s; %d wait, %d run", s.rate(f, (*clusterv1.FunctionStatus).GetInvocations),
		s.rate(f, (*clusterv1.FunctionStatus).GetMisses), s.rate(f, refusals), f.Waiting, f.Running)
	line("  submitted", "%d, of them %d within the guarantee", f.Submitted, f.Guaranteed)
	line("  run", "%d, of them %d late, %d failed", f.Invocations, f.Misses, f.Failures)
	line("  guarantee", "%d late or refused for lateness: %s", f.GuaranteedMisses, missed(f))
	line("  refused", "%d", refusals(f))
	for _, reason := range slices.Sorted(maps.Keys(f.Refusals)) {
		line("    "+reason, "%d", f.Refusals[reason])
	}
	line("  queue", "p50 %s, p99 %s, max %s", duration(f.QueueSeconds.GetP50()), duration(f.QueueSeconds.GetP99()), duration(f.QueueSeconds.GetMax()))
	line("  run time", "p50 %s, p99 %s, max %s; lately p99 %s; %s in all", duration(f.RunSeconds.GetP50()), duration(f.RunSeconds.GetP99()),
		duration(f.RunSeconds.GetMax()), duration(f.LearnedRunSeconds), duration(f.BusySeconds))
	line("  Used", "%.4g GB s (memory x run time)", f.UsedGbS)
	line("  R", "%.4g GB s, %.4g core s (reserved x wall time)", f.ReservedGbS, f.ReservedCoreS)
}
