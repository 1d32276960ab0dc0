package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/starling-vr/starling/loadtest/calibrate"
	"github.com/starling-vr/starling/loadtest/plan"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/target"
)

// planOptions are the flags of `starling loadtest plan`.
type planOptions struct {
	scenario     string
	participants count
	costs        string
	json         string
	maxMiss      share
	busiest      share
	deployment   plan.Deployment
	together     bool
	limit        bool
	request      plan.Request
	flags        *pflag.FlagSet
}

// count is a whole number above 0 that may be written as 6e6. The 0 that it may be
// to begin with stands for a default that is described in words.
type count int

func (c *count) String() string {
	if *c == 0 {
		return ""
	}
	return strconv.Itoa(int(*c))
}
func (c *count) Type() string { return "count" }
func (c *count) Set(text string) error {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value < 1 || value > 1e9 || value != float64(int(value)) {
		return fmt.Errorf("%q: want a whole number above 0 like 4000 or 6e6", text)
	}
	*c = count(value)
	return nil
}

func planCommand() *cobra.Command {
	o := planOptions{maxMiss: 0.01, busiest: 0.6}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Predict how many gateways, owners and Redis nodes a crowd needs",
		Long: `Counts the crowd of a scenario, lets a part of it act on simulated gateways, owners and stores,
with the scheduler's own policy and the shard map, at the costs that ` + "`starling loadtest calibrate`" + `
measured, and adds processes until the deadline holds. What is simulated is a share of the crowd
with all its neighbours, and its figures are scaled up: the answer says which.

With --together it predicts a run of ` + "`starling loadtest crowd --self`" + ` instead: server, store and load
tester share the cores of one machine. See docs/how-to/plan-capacity.md for what is left out.`,
		Example: `  starling loadtest plan --scenario pokemon-go --participants 6e6
  starling loadtest plan --scenario my-event.toml --participants 50000 --gateways 4 --owners 2 --stores 1
  starling loadtest plan --together --find-limit --scenario arena`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.OutOrStdout(), cmd.ErrOrStderr()) },
	}
	flags := cmd.Flags()
	o.flags = flags
	flags.StringVar(&o.scenario, "scenario", "pokemon-go", "`NAME` of a scenario, or a TOML file")
	flags.Var(&o.participants, "participants", "participants present at once (default: the scenario's)")
	flags.Float64Var(&o.request.Rate, "rate", 0, "lambda: actions per second of each, on average (default: the scenario's)")
	flags.Float64Var(&o.request.Density, "density", 1, "how much denser than in the scenario clusters are")
	flags.DurationVar(&o.request.Deadline, "deadline", 15*time.Millisecond, "D: from when an action is due to its update at everyone affected")
	flags.DurationVar(&o.request.Duration, "duration", 0, "simulated time, after 2 s of warming up (default 4 s, longer with a flash crowd)")
	flags.Uint64Var(&o.request.Seed, "seed", 1, "of everything random")
	flags.Var(&o.maxMiss, "max-miss", "share of the deliveries that may miss the deadline")
	flags.Var(&o.busiest, "busiest", "share of its cores that a process may use")
	flags.Var((*count)(&o.deployment.Cores), "cores", "cores of each gateway and owner (default 4; with --together the machine's, default as calibrated)")
	flags.IntVar(&o.request.Connections, "connections", 100_000, "connections of a gateway, at most")
	flags.IntVar(&o.deployment.Gateways, "gateways", 0, "try this many alone, with --owners and --stores")
	flags.IntVar(&o.deployment.Owners, "owners", 0, "see --gateways")
	flags.IntVar(&o.deployment.Stores, "stores", 0, "see --gateways")
	flags.BoolVar(&o.together, "together", false, "predict a run on one machine that server, store and load tester share")
	flags.BoolVar(&o.limit, "find-limit", false, "with --together: the largest crowd that holds")
	flags.StringVar(&o.costs, "costs", "", "`FILE` of costs that calibrate wrote (default: measured ones that come with this program)")
	flags.StringVar(&o.json, "json", "", "write the answer to `FILE` as JSON (- is the standard output)")
	return cmd
}

func (o *planOptions) run(out, progress io.Writer) error {
	var err error
	r := &o.request
	if r.Scenario, err = scenario.Load(o.scenario); err != nil {
		return err
	}
	if r.Costs, err = readCosts(o.costs); err != nil {
		return err
	}
	r.Participants, r.MaxMiss, r.Busiest, r.Cores = int(o.participants), float64(o.maxMiss), float64(o.busiest), o.deployment.Cores
	if r.Participants == 0 {
		r.Participants = r.Scenario.Participants
	}
	r.Progress = func(line string) { fmt.Fprintln(progress, line) }
	if err := o.check(); err != nil {
		return err
	}
	switch {
	case o.request.Density != 1 && len(r.Scenario.Clusters) == 0:
		return errors.New("--density is for scenarios with clusters: this one has groups or matches, whose size is in its file")
	case o.limit && !o.together:
		return errors.New("--find-limit is for --together: without it the smallest deployment for a crowd is looked for")
	case o.together:
		return o.predict(out)
	}
	if d := &o.deployment; o.fixed() {
		if d.Gateways < 1 || d.Owners < 1 || d.Stores < 1 {
			return errors.New("give --gateways, --owners and --stores, each above 0, or none of them")
		}
		if d.Cores == 0 {
			d.Cores = 4
		}
		r.Fixed = d
	}
	answer, err := plan.Make(*r)
	if err != nil {
		return err
	}
	if o.json != "-" {
		if err := printAnswer(out, answer, r.Costs); err != nil {
			return err
		}
	}
	return writeJSON(o.json, out, answer)
}

// check refuses what would be taken for a default.
func (o *planOptions) check() error {
	r := &o.request
	switch {
	case r.Rate < 0 || r.Rate == 0 && o.flags.Changed("rate"):
		return fmt.Errorf("--rate %g: nobody would act; want more than 0", r.Rate)
	case r.Deadline <= 0:
		return fmt.Errorf("--deadline %v: want a time above 0", r.Deadline)
	case r.Duration < 0 || r.Duration == 0 && o.flags.Changed("duration"):
		return fmt.Errorf("--duration %v: want a time above 0", r.Duration)
	case !(r.Density > 0):
		return fmt.Errorf("--density %g: want more than 0", r.Density)
	case r.Connections < 1:
		return fmt.Errorf("--connections %d: want 1 or more", r.Connections)
	case o.maxMiss <= 0:
		return fmt.Errorf("--max-miss %s: want more than 0", o.maxMiss.String())
	case o.busiest <= 0:
		return fmt.Errorf("--busiest %s: want more than 0", o.busiest.String())
	case o.together && o.fixed():
		return errors.New("--gateways, --owners and --stores are not for --together: there is one of each")
	}
	return nil
}

// fixed says whether a deployment was given.
func (o *planOptions) fixed() bool {
	return o.flags.Changed("gateways") || o.flags.Changed("owners") || o.flags.Changed("stores")
}

func readCosts(path string) (*plan.Costs, error) {
	if path == "" {
		return plan.DefaultCosts(), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	costs, err := plan.ReadCosts(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return costs, nil
}

// writeJSON writes to a file, to out ("-"), or not at all ("").
func writeJSON(path string, out io.Writer, what any) error {
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil || path == "" {
		return err
	}
	text = append(text, '\n')
	if path == "-" {
		_, err = out.Write(text)
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// predict tells of one machine.
func (o *planOptions) predict(out io.Writer) error {
	r := &o.request
	t := plan.Together{
		Scenario: r.Scenario, Participants: r.Participants, Rate: r.Rate, Seed: r.Seed, Costs: r.Costs,
		Cores: o.deployment.Cores, Deadline: r.Deadline, Duration: r.Duration,
	}
	if t.Cores == 0 {
		t.Cores = max(1, r.Costs.Cores)
	}
	var result *plan.Result
	var err error
	prediction := plan.Prediction{Format: plan.PredictionFormat, Version: 1, Scenario: r.Scenario.Name, Participants: r.Participants, Cores: t.Cores}
	if o.limit {
		prediction.Limit = true
		result, err = t.Limit(r.MaxMiss)
	} else {
		result, err = t.Simulate()
	}
	if err != nil {
		return err
	}
	if result == nil {
		return fmt.Errorf("not even one group of %s is held", r.Scenario.Name)
	}
	prediction.Take(result)
	if o.json == "-" {
		return writeJSON(o.json, out, &prediction)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if o.limit {
		fmt.Fprintf(w, "holds\t%d participants\tat most %s of the deliveries late\n", prediction.Participants, o.maxMiss.String())
	}
	fmt.Fprintf(w, "offered\t%.0f actions/s\t%.0f deliveries/s\n", result.Offered, result.Deliveries)
	fmt.Fprintf(w, "missed\t%.2f %% of the deliveries\t%.2f %% of the actions\n", 100*result.MissRate, 100*result.ActionMissRate)
	fmt.Fprintf(w, "latency\tp50 %.1f ms, p99 %.1f ms\t\n", prediction.P50MS, prediction.P99MS)
	fmt.Fprintf(w, "processor\tserver %.0f, store %.0f, load tester %.0f us an action\tof %d cores %.0f %% busy\n",
		prediction.ServerUS, prediction.StoreUS, prediction.GeneratorUS, t.Cores, 100*result.GatewayBusy)
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(o.json, out, &prediction)
}

// printAnswer tells a plan to people.
func printAnswer(out io.Writer, a *plan.Answer, c *plan.Costs) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("crowd", "%d participants, %.0f actions/s, %.0f deliveries/s", a.Participants, a.Actions, a.Deliveries)
	line("affected by an action", "%.1f on average; p50 %d, p99 %d, most %d", a.Affected.Mean, a.Affected.P50, a.Affected.P99, a.Affected.Most)
	line("world", "%d cells and %d shards with somebody in them; at most %d in a cell, %d in a shard", a.Cells, a.Shards, a.FullestCell, a.FullestShard)
	line("", "")
	d := &a.Deployment
	line("gateways", "%d of %d cores\t%.0f %% busy, %d connections, %.1f GB for them", d.Gateways, d.Cores, 100*a.GatewayBusy, a.Connections, a.GatewayBytes/1e9)
	line("owners", "%d of %d cores\t%.0f %% busy", d.Owners, d.Cores, 100*a.OwnerBusy)
	line("stores", "%d %s nodes at %s (replicas not counted)\t%.0f %% busy, %.0f appends/s", d.Stores, c.Store, c.Durability, 100*a.StoreBusy, a.Commits)
	line("processors", "%.1f cores' worth in all", a.CPU)
	line("Used", "%.2g GB s per second", a.Used)
	line("M (of deliveries)", "%.3f %% later than %g ms or never", 100*a.MissRate, a.DeadlineMS)
	line("M (of actions)", "%.3f %%", 100*a.ActionMissRate)
	line("latency", "p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms", a.P50MS, a.P99MS, a.P999MS)
	if !a.Holds {
		line("", "")
		line("does not hold", "%s", a.Why)
	}
	line("", "")
	line("simulated", "%s %% of the crowd (%d participants) for %g s, %.1f affected by an action there; scaled up",
		strconv.FormatFloat(100*a.Simulated.Share, 'g', 3, 64), a.Simulated.Participants, a.Simulated.Seconds, a.Simulated.Affected)
	line("costs", "of %s, %s, measured %s", c.Machine, c.Starling, c.Measured.Format(time.DateOnly))
	return w.Flush()
}

func calibrateCommand() *cobra.Command {
	var o calibrate.Options
	var path string
	var check bool
	var add string
	cmd := &cobra.Command{
		Use:   "calibrate",
		Short: "Measure what each stage of an action costs on this machine",
		Long: `Starts a server and drives it, briefly, at a few loads and group sizes, and fits costs to what
server, store and load tester used: processor time per action, commit, message, write and
delivery. ` + "`starling loadtest plan --costs FILE`" + ` reckons with them. The machine should have nothing else to do.`,
		Example: `  starling loadtest calibrate --store redis --durability disk --json costs.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stderr := cmd.ErrOrStderr()
			o.Progress = func(line string) { fmt.Fprintln(stderr, line) }
			o.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			o.Target.Log = o.Log
			if add != "" {
				earlier, err := readCosts(add)
				if err != nil {
					return err
				}
				o.Add = earlier.Fit.Runs
			}
			costs, err := calibrate.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "the costs explain the processor time of the runs to within %.0f %%\n", 100*costs.Fit.WorstCPU)
			if check {
				costs.Checks, err = calibrate.Check(cmd.Context(), calibrate.CheckOptions{
					Target: o.Target, Costs: costs, Duration: o.Duration, Seeds: []uint64{o.Seed}, Log: o.Log, Progress: o.Progress,
				})
			}
			return errors.Join(err, writeJSON(path, cmd.OutOrStdout(), costs))
		},
	}
	o.Target = target.Options{}
	flags := cmd.Flags()
	flags.StringVar(&o.Target.Store, "store", "redis", "memory, embedded or redis (redis-server is started for it)")
	flags.StringVar(&o.Target.Durability, "durability", "disk", "memory, disk or replicated")
	flags.StringArrayVar(&o.Target.Set, "set", nil, "a setting of the server, as `KEY=VALUE`; may be repeated")
	flags.DurationVar(&o.Duration, "duration", 6*time.Second, "measured time of each run")
	flags.IntVar(&o.Repeats, "repeats", 1, "how often a run is repeated during which other programs used more than --quiet")
	flags.Float64Var(&o.Quiet, "quiet", 0.1, "cores that other programs may use")
	flags.DurationVar(&o.Patience, "patience", 0, "how long to wait before each run until others use less than --quiet")
	flags.Uint64Var(&o.Seed, "seed", 1, "of everything random")
	flags.StringVar(&add, "add", "", "take the runs of an earlier `FILE`, too: of each load the least disturbed counts, and a quiet one is not repeated")
	flags.BoolVar(&check, "check", false, "then look for the real limits of sparse, street and arena, and hold the predicted ones against them (some minutes)")
	flags.StringVar(&path, "json", "-", "`FILE` to write the costs to (- is the standard output)")
	return cmd
}
