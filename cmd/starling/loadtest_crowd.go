package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/target"
	"github.com/starling-vr/starling/loadtest/trial"
	"github.com/starling-vr/starling/loadtest/yardstick"
)

// crowdOptions say what runs, against what.
type crowdOptions struct {
	scenario     string
	participants int
	rate         float64
	density      float64
	deadline     time.Duration
	warmup       time.Duration
	duration     time.Duration
	stuck        int
	seed         uint64
	label        string

	self       bool
	server     string
	wait       time.Duration
	pollers    int
	beside     bool
	store      string
	durability string
	masters    int
	owners     int
	set        []string

	targets   []string
	tokenKey  string
	tokenFile string
	metrics   []string

	seeds        int
	findLimit    bool
	rateByLambda bool
	precision    share
	repeats      int

	maxMiss share
	json    string
	report  string
	plain   bool

	flags *pflag.FlagSet
}

// missedTooMuch is the exit status when --max-miss is not met.
const missedTooMuch = 3

// statusError ends the process with a status of its own.
type statusError struct {
	status int
	why    string
}

func (e *statusError) Error() string { return e.why }

// interrupted makes an end by a signal one without success.
func interrupted(err error) error {
	const status = 128 + int(syscall.SIGINT)
	if errors.Is(err, context.Canceled) {
		why := "interrupted: there is no result"
		if early := (*earlyError)(nil); errors.As(err, &early) {
			why = err.Error()
		}
		return &statusError{status, why}
	}
	return err
}

// earlyError ends what was begun after a part of it, which is kept.
type earlyError struct {
	done string // what was finished, as in "2 of 5 runs"
	why  error
}

func (e *earlyError) Error() string {
	if errors.Is(e.why, context.Canceled) {
		return fmt.Sprintf("interrupted after %s, of which the result is", e.done)
	}
	return fmt.Sprintf("ended after %s, of which the result is: %v", e.done, e.why)
}

func (e *earlyError) Unwrap() error { return e.why }

// early marks runs that were to be followed by more.
func early(runs []report.Run, all int, why error) error {
	e := &earlyError{fmt.Sprintf("%d of %d runs", len(runs), all), why}
	for i := range runs {
		runs[i].Notes = append(runs[i].Notes, e.Error())
	}
	return e
}

// share is a share of 1, given as "1%" or "0.01".
type share float64

func (s *share) String() string { return strconv.FormatFloat(100*float64(*s), 'g', 6, 64) + "%" }
func (s *share) Type() string   { return "share" }
func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(number, 64)
	if percent {
		value /= 100
	}
	if err != nil || !(value >= 0 && value <= 1) {
		return fmt.Errorf("%q: want a share like 1%% or 0.01", text)
	}
	*s = share(value)
	return nil
}

func crowdCommand() *cobra.Command {
	o := crowdOptions{maxMiss: 1, precision: 0.05}
	cmd := &cobra.Command{
		Use:   "crowd",
		Short: "Drive a crowd against a Starling and measure what its participants see",
		Long: `Lets a synthetic crowd join, walk, speak and touch over the public protocol, and measures the
time from when each action was due to when every participant who must see it has seen it. The
loop is open: an action is due at its time, whatever the server does; what is refused, shed or
never delivered counts as missed.

Give --target with --token-key or --token-file, or --self, which starts a server on this machine.
Exit status 3 when more was missed than --max-miss allows.`,
		Example: `  starling loadtest crowd --self --scenario street --participants 800
  starling loadtest crowd --self --store redis --durability disk --scenario arena --participants 400 --max-miss 1% --json run.json
  starling loadtest crowd --target wss://play.example.org --token-file tokens.ndjson --scenario my-event.toml --report out`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interrupted(o.run(cmd.Context(), cmd.OutOrStdout()))
		},
	}
	o.commonFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.findLimit, "find-limit", false, "look for the highest rate at which no more than --max-miss (default 1%) is missed in every seed")
	flags.BoolVar(&o.rateByLambda, "rate-by-lambda", false, "with --find-limit: change lambda instead of the number of participants")
	flags.IntVar(&o.repeats, "repeats", 1, "with --find-limit: how often a run is made again that missed too much while other processes used over 10 % of this machine, or its host kept over 1 % of it")
	flags.Var(&o.precision, "precision", "with --find-limit: of the rate that is found")
	flags.Var(&o.maxMiss, "max-miss", "share of deliveries that may miss the deadline, for exit status 3")
	return cmd
}

// commonFlags are those of all commands that drive a crowd.
func (o *crowdOptions) commonFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	o.flags = flags
	flags.StringVar(&o.scenario, "scenario", "street", "`NAME` of a scenario ("+strings.Join(scenario.Names(), ", ")+"), or a TOML file")
	flags.Var((*count)(&o.participants), "participants", "participants present at once (default: the scenario's)")
	flags.Float64Var(&o.rate, "rate", 0, "lambda: actions per second of each, on average (default: the scenario's)")
	flags.Float64Var(&o.density, "density", 1, "how much denser than in the scenario clusters are, 0.1..10")
	flags.DurationVar(&o.deadline, "deadline", 15*time.Millisecond, "D: from when an action is due to its update at everyone affected")
	flags.DurationVar(&o.warmup, "warmup", 3*time.Second, "time of acting before the measured time")
	flags.DurationVar(&o.duration, "duration", 12*time.Second, "the measured time")
	flags.IntVar(&o.stuck, "stuck-readers", 0, "so many of the participants connect and then read and do nothing; the figures are of the others")
	flags.Uint64Var(&o.seed, "seed", 1, "of everything random: the same seed gives the same crowd")
	flags.StringVar(&o.label, "label", "", "what this run is called in reports")

	flags.BoolVar(&o.self, "self", false, "start a server on this machine and drive that")
	flags.StringVar(&o.server, "server", report.Starling, "with --self: what to start: starling, or yardstick, the bare broadcast loop of \"starling loadtest yardstick\"")
	flags.BoolVar(&o.beside, "yardstick", false, "with --self: let a yardstick have the same crowd, by turns before and after, and give the server's figures as ratios to it, too")
	flags.DurationVar(&o.wait, "yardstick-wait", 0, "how long a yardstick lets what it is to write wait for company")
	flags.IntVar(&o.pollers, "yardstick-pollers", yardstick.DefaultPollers, "threads of a yardstick")
	flags.StringVar(&o.store, "store", "memory", "with --self: memory, embedded or redis (redis-server is started for it)")
	flags.StringVar(&o.durability, "durability", "memory", "with --self: memory, disk or replicated")
	o.owners, o.masters = 1, 1
	flags.Var((*count)(&o.owners), "owners", "with --self and store redis: processes that own shards; the first is the gateway, too")
	flags.Var((*count)(&o.masters), "redis-masters", "with --self: Redis masters; more than one make a Cluster")
	flags.StringArrayVar(&o.set, "set", nil, "with --self: a setting of the server, as `KEY=VALUE`; may be repeated")

	flags.StringArrayVar(&o.targets, "target", nil, "`URL` of a gateway to drive (ws, wss, http or https); several share the crowd")
	flags.StringVar(&o.tokenKey, "token-key", "", "the key that the target checks tokens with (auth.key; default: STARLING_AUTH_KEY)")
	flags.StringVar(&o.tokenFile, "token-file", "", "a `FILE` of tokens instead, one a line or as `starling token create --json` writes them")
	flags.StringArrayVar(&o.metrics, "server-metrics", nil, "`URL` of /metrics of a process of the target, for its processor time and memory; may be repeated")

	flags.Var((*count)(&o.seeds), "seeds", "how many runs, with seeds from --seed on (default: 1; with --find-limit 3)")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`, or - for standard output")
	flags.StringVar(&o.report, "report", "", "write a page with plots into this `DIR`")
	flags.BoolVar(&o.plain, "plain", false, "plain lines instead of the live view")
}

// spec makes of the flags what a trial needs.
func (o *crowdOptions) spec() (trial.Spec, error) {
	s := trial.Spec{
		Participants: o.participants, Rate: o.rate, Density: o.density, Seed: o.seed,
		Deadline: o.deadline, Warmup: o.warmup, Duration: o.duration, Stuck: o.stuck, Label: o.label, Command: withoutSecrets(os.Args),
	}
	var err error
	if s.Scenario, err = scenario.Load(o.scenario); err != nil {
		return s, err
	}
	if err := errors.Join(o.misplaced(), report.Writable(o.json, o.report)); err != nil {
		return s, err
	}
	switch {
	case o.duration <= 0:
		return s, fmt.Errorf("--duration %v: want a time above 0", o.duration)
	case o.flags.Changed("rate") && o.rate == 0:
		return s, errors.New("--rate 0: nobody would act; want more than 0")
	case o.deadline <= 0:
		return s, fmt.Errorf("--deadline %v: want a time above 0", o.deadline)
	case o.masters > 1 && o.store != "redis":
		return s, fmt.Errorf("--redis-masters %d needs --store redis", o.masters)
	case o.flags.Changed("precision") && o.precision < leastPrecision:
		return s, fmt.Errorf("--precision %s: want %g%% or more", &o.precision, 100*leastPrecision)
	case o.self && len(o.targets) > 0:
		return s, errors.New("give --self or --target, not both")
	case !o.self && len(o.targets) == 0:
		return s, errors.New("give --self, or --target")
	case o.density != 1 && len(s.Scenario.Clusters) == 0:
		return s, errors.New("--density is for scenarios with clusters: this one has groups or matches, whose size is in its file")
	case o.beside && (!o.self || o.server == report.Yardstick):
		return s, errors.New("--yardstick compares with a server of one's own: it is for --self, and not with --server yardstick")
	case o.self && o.server == report.Yardstick && len(o.set) > 0:
		return s, errors.New("a yardstick has no settings: leave out --set")
	case o.self && o.server == report.Yardstick:
		options := o.yardstick()
		s.Self = &target.Options{Yardstick: &options}
		return s, nil
	case o.server != report.Starling:
		return s, fmt.Errorf("--server %q: want starling, or with --self yardstick", o.server)
	case o.self:
		s.Self = &target.Options{Store: o.store, Durability: o.durability, Masters: o.masters, Owners: o.owners, Set: o.set}
		return s, nil
	}
	s.Targets, s.Metrics = o.targets, o.metrics
	s.Tokens, err = o.tokens()
	return s, err
}

// misplaced names a flag that says something of a server of the other kind.
func (o *crowdOptions) misplaced() error {
	if o.self == (len(o.targets) > 0) {
		return nil // which it is is not known
	}
	kind, others := "--target", []string{"token-key", "token-file", "server-metrics"}
	if !o.self {
		kind, others = "--self", []string{"store", "durability", "owners", "redis-masters", "set"}
	}
	for _, name := range others {
		if flag := o.flags.Lookup(name); flag != nil && flag.Changed {
			return fmt.Errorf("--%s is for %s", name, kind)
		}
	}
	return nil
}

// yardstick gives the options of one.
func (o *crowdOptions) yardstick() yardstick.Options {
	return yardstick.Options{Wait: o.wait, Pollers: o.pollers, Congestion: congestion}
}

func (o *crowdOptions) tokens() (trial.Tokens, error) {
	if o.tokenFile != "" {
		return trial.FileTokens(o.tokenFile)
	}
	key := o.tokenKey
	if key == "" {
		key = os.Getenv("STARLING_AUTH_KEY")
	}
	if key == "" {
		return nil, errors.New("no tokens: give --token-key or --token-file, or set STARLING_AUTH_KEY")
	}
	return trial.KeyTokens([]byte(key)), nil
}

// withoutSecrets gives the command line for the report.
func withoutSecrets(arguments []string) string {
	var out []string
	hide := false
	for i, a := range arguments {
		switch {
		case i == 0:
			a = "starling"
		case hide:
			a, hide = "...", false
		case a == "--token-key":
			hide = true
		case strings.HasPrefix(a, "--token-key="):
			a = "--token-key=..."
		}
		if u, err := url.Parse(a); err == nil && u.User != nil {
			a = u.Redacted()
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// begin makes the view, and the log that goes through it.
func (o *crowdOptions) begin(s *trial.Spec) report.View {
	debug.SetGCPercent(400) // the books are small: collect seldom, beside a server that needs the processor
	view := report.NewView(os.Stderr, report.ViewOptions{Deadline: o.deadline, MaxMiss: o.allowed(), Plain: o.plain})
	s.Watch = view.Show
	s.Log = slog.New(slog.NewTextHandler(report.NotesTo(view), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if s.Self != nil {
		s.Self.Log = s.Log
	}
	return view
}

// allowed is --max-miss; 0 if it was not given.
func (o *crowdOptions) allowed() float64 {
	if o.maxMiss == 1 {
		return 0
	}
	return float64(o.maxMiss)
}

func (o *crowdOptions) run(ctx context.Context, out io.Writer) error {
	s, err := o.spec()
	if err != nil {
		return err
	}
	if o.findLimit {
		return o.runSearch(ctx, out, s)
	}
	view := o.begin(&s)
	var runs []report.Run
	for i := range max(o.seeds, 1) {
		s.Seed = o.seed + uint64(i)
		s.Title = fmt.Sprintf("%s, seed %d", s.Scenario.Name, s.Seed)
		r, err := o.once(ctx, s, i)
		if err != nil && len(runs) > 0 { // the others are not lost
			view.Close()
			err = early(runs, o.seeds, err)
			return errors.Join(o.write(out, runs), err)
		}
		if err != nil {
			view.Close()
			return err
		}
		runs = append(runs, *r)
	}
	view.Close()
	if err := o.write(out, runs); err != nil {
		return err
	}
	for i := range runs {
		if r := &runs[i]; r.MissRate > float64(o.maxMiss) {
			return &statusError{missedTooMuch, fmt.Sprintf("seed %d missed %.2f %% of the deliveries, more than --max-miss %s", r.Seed, 100*r.MissRate, o.maxMiss.String())}
		}
	}
	return nil
}

// once makes the i-th run; a yardstick takes its turn before every other one.
func (o *crowdOptions) once(ctx context.Context, s trial.Spec, i int) (*report.Run, error) {
	if !o.beside {
		return trial.Run(ctx, s)
	}
	return trial.RunBeside(ctx, s, o.yardstick(), i%2 == 0)
}

// write gives the results as asked for.
func (o *crowdOptions) write(out io.Writer, runs []report.Run) error {
	if o.json != "" {
		if err := report.WriteFile(o.json, runs...); err != nil {
			return err
		}
	}
	if o.json == "-" {
		out = os.Stderr
	}
	if o.report != "" {
		if err := report.WritePage(o.report, o.allowed(), runs...); err != nil {
			return err
		}
		defer fmt.Fprintln(out, "page:", filepath.Join(o.report, "index.html"))
	}
	for i := range runs {
		if err := summarize(out, &runs[i]); err != nil {
			return err
		}
	}
	if len(runs) == 1 || runs[0].Yardstick == nil {
		return nil
	}
	all, err := report.Merge(runs...)
	if err == nil {
		_, err = fmt.Fprintln(out, "all seeds:", all.Yardstick.Text(all.MissRate))
	}
	return err
}

// summarize says what matters in a few lines.
func summarize(out io.Writer, r *report.Run) error {
	server := "server CPU not known"
	if s := r.Server; s != nil {
		each := ""
		if s.CPUUSPerAction > 0 && s.CPUUSPerDelivery > 0 {
			each = fmt.Sprintf("%.0f us/action, %.2f us/delivery, ", s.CPUUSPerAction, s.CPUUSPerDelivery)
		}
		server = fmt.Sprintf("server %.2f CPU s, %s%.0f MiB", s.CPUS, each, float64(s.RSSBytes)/(1<<20))
	}
	about := fmt.Sprintf("%s, %d participants, seed %d", r.Scenario, r.Participants, r.Seed)
	if behind := r.Behind(); behind != "" {
		about += ", " + behind
	}
	latency := "latency not known: nothing arrived"
	if l := r.LatencyMS; r.DeliveriesReceived > 0 {
		latency = fmt.Sprintf("latency p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f ms", l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	_, err := fmt.Fprintf(out, `%s
offered %.0f/s, achieved %.0f/s, goodput %.0f/s, refused %d, unanswered %d
deliveries %d of %d expected, %d conflated; missed %.3f %% at %g ms, %.3f %% at 30 ms; actions missed %.2f %%
%s
%s; generator %.2f CPU s, lag p99 %.2f ms
`, about,
		r.OfferedPerS, r.AchievedPerS, r.GoodputPerS, r.Refused, r.Unanswered,
		r.DeliveriesReceived, r.DeliveriesExpected, r.DeliveriesConflated, 100*r.MissRate, r.DeadlineMS, 100*r.MissRate30MS, 100*r.ActionMissRate,
		latency, server, r.Generator.CPUS, r.Generator.LagP99MS)
	for _, code := range r.RefusalCodes() {
		fmt.Fprintf(out, "refused %s: %d\n", code, r.RefusalsByCode[code])
	}
	if n := r.Nearest; n != nil {
		fmt.Fprintf(out, "of the %d nearest: %d of %d deliveries; missed %.3f %%, of admitted actions %.3f %%; goodput %.0f/s; p50 %.1f, p99 %.1f ms\n",
			n.Count, n.DeliveriesReceived, n.DeliveriesExpected, 100*n.MissRate, 100*n.AdmittedMissRate, n.GoodputPerS, n.LatencyMS.P50, n.LatencyMS.P99)
	}
	if r.Yardstick != nil {
		fmt.Fprintln(out, r.Yardstick.Text(r.MissRate))
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, "note:", note)
	}
	if r.GeneratorLimited {
		fmt.Fprintln(out, "WARNING: the load tester was the limit, not the server:", r.GeneratorLimitedWhy)
	}
	return err
}
