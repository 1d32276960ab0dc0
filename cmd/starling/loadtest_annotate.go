package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/loadtest/annotate"
	"github.com/starling-vr/starling/loadtest/annotate/corpus"
	"github.com/starling-vr/starling/loadtest/target"
	"github.com/starling-vr/starling/loadtest/trial"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// annotateOptions say what runs, against what.
type annotateOptions struct {
	rate                float64
	words, arrivals     string
	corpus              string
	htmlShare           float64
	deadline            time.Duration
	warmup, duration    time.Duration
	workflow            string
	seed                uint64
	json                string
	maxLate             share
	findLimit, findR    bool
	precision           share
	seeds               int
	targets             string
	tokenKey, tokenFile string
	metrics             []string
	connections         int
	each                bool
	transport           string
	self                bool
	set                 []string
	inProcess           bool
	workflows           string
	workers             int
	synthetic           bool
	functions, graphs   int
	functionShare       shares
	workflowShare       shares
	guarantee           float64
	optional            bool
}

// shares is a range of shares of 1, "0.1-0.9".
type shares annotate.Share

func (s *shares) String() string { return fmt.Sprintf("%g-%g", s.From, s.To) }
func (s *shares) Type() string   { return "range" }
func (s *shares) Set(text string) error {
	from, to, _ := strings.Cut(text, "-")
	a, errA := strconv.ParseFloat(from, 64)
	b, errB := strconv.ParseFloat(to, 64)
	if errA != nil || errB != nil || !(a > 0 && a <= b && b <= 1) {
		return fmt.Errorf("%q: want a range of shares like 0.1-0.9", text)
	}
	*s = shares{a, b}
	return nil
}

// leastPrecision is the finest search for a limit.
const leastPrecision = 0.005

// guaranteeable are run times of synthetic functions that leave room for a guarantee on
// two cores: each of the four workflows waits for one that was just begun, and for the
// other three.
const guaranteeable = "--function-time 0.05-0.2 --workflow-time 0.2-0.3"

func annotateLoadCommand() *cobra.Command {
	o := annotateOptions{functionShare: shares{0.1, 0.9}, workflowShare: shares{0.5, 0.95}, precision: 0.05}
	cmd := &cobra.Command{
		Use:   "annotate",
		Short: "Drive document annotation and measure what meets its deadline",
		Long: `Lets documents fall due at times fixed beforehand and measures the time from when each was due to
its whole answer. Documents are distinct; a document that was refused, failed or lost counts as late.

Give --target, or --self, which starts a server on this machine, or --in-process for the functions
alone, without HTTP and JSON. --synthetic puts functions in their place that burn the processor, as
the paper models them: half of D and more for the largest document. Two cores hold 20 of those a
second if they come evenly; at random times (poisson) a third is so often due while two run that one
in eight is refused. Runs are not interrupted, so a guarantee wants workflows below half of D, and
bursts of all of them at once below that: on two cores four workflows of up to 0.3 D.
Exit status 3 when a larger share is late than --max-late allows.`,
		Example: `  starling loadtest annotate --self --rate 4000 --arrivals bursts:200 --max-late 1% --json run.json
  starling loadtest annotate --self --rate 4000 --transport grpc
  starling loadtest annotate --target https://play.example.org --token-file token --rate 100
  starling loadtest annotate --in-process --rate 6000 --find-limit
  starling loadtest annotate --synthetic --rate 20 --functions 8 --workflow-time 0.5-0.8 --arrivals uniform
  starling loadtest annotate --synthetic --rate 20 --guarantee 20 ` + guaranteeable,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interrupted(o.run(cmd.Context(), cmd.OutOrStdout()))
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *annotateOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Float64Var(&o.rate, "rate", 6000, "lambda: documents per second; with --find-limit the rate to begin with")
	flags.StringVar(&o.words, "words", "uniform:50-750", "S: words of a document, as fixed:300, uniform:50-750 or log-uniform:8-800000")
	flags.StringVar(&o.arrivals, "arrivals", "poisson", "poisson, uniform (evenly) or bursts:N (N at once)")
	flags.DurationVar(&o.deadline, "deadline", 100*time.Millisecond, "D: from when a document is due to its whole answer")
	flags.StringVar(&o.corpus, "corpus", "generated", "a `DIR` with files *.txt that documents are drawn from, or generated")
	flags.Float64Var(&o.htmlShare, "html", 0.2, "share of the documents in HTML, 0..1")
	flags.DurationVar(&o.warmup, "warmup", 2*time.Second, "driven before the measured time")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "the measured time")
	flags.StringVar(&o.workflow, "workflow", "", "`NAME` of the workflow (default: the server's)")
	flags.Uint64Var(&o.seed, "seed", 1, "of everything random: the same seed gives the same documents and times")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`, or - for standard output")
	flags.Var(&o.maxLate, "max-late", "F_l: share of the documents that may be late for the requirement to be met")

	flags.BoolVar(&o.findLimit, "find-limit", false, "look for the highest rate at which no more than --max-late is late in every seed")
	flags.BoolVar(&o.findR, "find-r", false, "look for the least R that holds D at --rate: one worker, two, and so on (in process)")
	flags.Var(&o.precision, "precision", "with --find-limit: of the rate that is found")
	flags.IntVar(&o.seeds, "seeds", 1, "with --find-limit: how many seeds, from --seed on")

	flags.StringVar(&o.targets, "target", "", "`URL` of a server to drive (http or https)")
	flags.StringVar(&o.tokenKey, "token-key", "", "the key that the target checks tokens with (default: STARLING_AUTH_KEY)")
	flags.StringVar(&o.tokenFile, "token-file", "", "a `FILE` with a token instead")
	flags.StringArrayVar(&o.metrics, "server-metrics", nil, "`URL` of /metrics of a process of the target; may be repeated")
	flags.IntVar(&o.connections, "connections", 0, "connections to the server (default: 8, or with --each 256)")
	flags.StringVar(&o.transport, "transport", "http", "http (NDJSON) or grpc: how documents are streamed to the server")
	flags.BoolVar(&o.each, "each", false, "a request for each document, on connections that are kept, instead of streams")
	flags.BoolVar(&o.self, "self", false, "start a server on this machine and drive that")
	flags.StringArrayVar(&o.set, "set", nil, "with --self: a setting of the server, as `KEY=VALUE`; may be repeated")

	flags.BoolVar(&o.inProcess, "in-process", false, "run the functions in this process")
	flags.StringVar(&o.workflows, "workflows", "", "with --in-process: a `FILE` of workflows (default: the built-in ones)")
	flags.IntVar(&o.workers, "workers", 0, "in process: workers (default: one for each core)")
	flags.BoolVar(&o.synthetic, "synthetic", false, "synthetic functions in this process")
	flags.IntVar(&o.functions, "functions", 12, "n: synthetic functions F_1 .. F_n")
	flags.IntVar(&o.graphs, "workflows-of-them", 4, "m: synthetic workflows W_1 .. W_m")
	flags.Var(&o.functionShare, "function-time", "run times of synthetic functions for the largest document, as shares of D")
	flags.Var(&o.workflowShare, "workflow-time", "run times of synthetic workflows, the same way")
	flags.Float64Var(&o.guarantee, "guarantee", 0, "with --synthetic: documents per second that are guaranteed, 0 for best effort; can be held with for example "+guaranteeable)
	flags.BoolVar(&o.optional, "optional", true, "with --synthetic: the last function of a workflow may be shed")
}

func (o *annotateOptions) spec() (annotate.Spec, error) {
	s := annotate.Spec{
		Rate: o.rate, Deadline: o.deadline, Warmup: o.warmup, Duration: o.duration, Workflow: o.workflow, Seed: o.seed,
		MaxLate: float64(o.maxLate), Command: withoutSecrets(os.Args),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	var err error
	if s.Words, err = annotate.ParseWords(o.words); err != nil {
		return s, err
	}
	if s.Arrivals, err = annotate.ParseArrivals(o.arrivals); err != nil {
		return s, err
	}
	if o.htmlShare < 0 || o.htmlShare > 1 {
		return s, fmt.Errorf("--html %g is no share of 1", o.htmlShare)
	}
	options := corpus.Options{Seed: o.seed, HTMLShare: o.htmlShare}
	if o.corpus == "generated" {
		s.Corpus = corpus.Generated(options)
		return s, nil
	}
	s.Corpus, err = corpus.FromFiles(o.corpus, options)
	return s, err
}

func (o *annotateOptions) run(ctx context.Context, out io.Writer) error {
	modes := 0
	for _, on := range []bool{o.targets != "", o.self, o.inProcess, o.synthetic} {
		if on {
			modes++
		}
	}
	switch {
	case modes != 1:
		return errors.New("give one of --target, --self, --in-process and --synthetic")
	case o.findR && o.findLimit:
		return errors.New("give one of --find-limit and --find-r")
	case o.findR && !o.inProcess && !o.synthetic:
		return errors.New("--find-r needs --in-process or --synthetic")
	case o.transport != "http" && o.transport != "grpc":
		return fmt.Errorf("--transport %q: want http or grpc", o.transport)
	case o.transport == "grpc" && (o.each || o.inProcess || o.synthetic):
		return errors.New("--transport grpc is for streams to --self or --target, without --each")
	case o.precision < leastPrecision:
		return fmt.Errorf("--precision %s: want %g%% or more", &o.precision, 100*leastPrecision)
	case o.workers < 0:
		return fmt.Errorf("--workers %d: want 1 or more", o.workers)
	case o.workers > 0 && !o.inProcess && !o.synthetic:
		return errors.New("--workers is of functions in this process: with --self write --set owner.workers=N")
	case o.workflows != "" && !o.inProcess:
		return errors.New("--workflows is of functions in this process: with --self write --set annotate.workflows=FILE")
	}
	s, err := o.spec()
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // as a server with this heap would be run
	tell := func(line string) { fmt.Fprintln(os.Stderr, line) }
	if o.findR {
		most := o.workers
		if most == 0 {
			most = runtime.GOMAXPROCS(0)
		}
		found, err := annotate.FindR(ctx, s, most, func(workers int) (annotate.Target, func() error, error) {
			return o.local(&s, workers)
		}, tell)
		if err != nil {
			return err
		}
		return o.writeLimit(out, found)
	}
	to, end, err := o.target(ctx, &s)
	if err != nil {
		return err
	}
	if o.findLimit {
		var seeds []uint64
		for i := range max(o.seeds, 1) {
			seeds = append(seeds, o.seed+uint64(i))
		}
		found, err := annotate.FindLimit(ctx, s, to, seeds, float64(o.precision), tell)
		if err := errors.Join(err, end()); err != nil {
			return err
		}
		return o.writeLimit(out, found)
	}
	r, err := annotate.Run(ctx, s, to)
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	return o.write(out, r)
}

// target makes what is driven, and what ends it.
func (o *annotateOptions) target(ctx context.Context, s *annotate.Spec) (annotate.Target, func() error, error) {
	if o.inProcess || o.synthetic {
		return o.local(s, o.workers)
	}
	door := annotate.Door{URL: o.targets, Connections: o.connections}
	end := func() error { return nil }
	tokens := crowdOptions{tokenKey: o.tokenKey, tokenFile: o.tokenFile}
	if o.self {
		server, err := target.Start(ctx, target.Options{
			Store: "memory", Durability: "memory", Set: append([]string{"region.roles=annotate"}, o.set...), Log: s.Log,
		})
		if err != nil {
			return nil, nil, err
		}
		door.URL, door.Meter, end = strings.TrimSuffix(server.MetricsURL(), "/metrics"), server, server.Stop
		tokens.tokenKey = server.Key()
	} else if remote := target.NewRemote(o.metrics); remote != nil {
		door.Meter = remote
	}
	if o.self || tokens.tokenFile != "" || tokens.tokenKey != "" || os.Getenv("STARLING_AUTH_KEY") != "" {
		var signed trial.Tokens
		signed, err := tokens.tokens()
		if err == nil {
			door.Token, err = signed.Participant(0)
		}
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
	}
	if o.transport == "grpc" {
		return &annotate.GRPC{Door: door}, end, nil
	}
	if o.each {
		if door.Connections == 0 {
			door.Connections = 256
		}
		return &annotate.Requests{Door: door}, end, nil
	}
	return &annotate.Stream{Door: door}, end, nil
}

// local makes a target in this process with so many workers.
func (o *annotateOptions) local(s *annotate.Spec, workers int) (annotate.Target, func() error, error) {
	if o.synthetic {
		t, err := annotate.NewSynthetic(annotate.Synthetic{
			Functions: o.functions, Workflows: o.graphs, FunctionShare: annotate.Share(o.functionShare),
			WorkflowShare: annotate.Share(o.workflowShare), Optional: o.optional, Rate: o.guarantee, Memory: 1 << 20, Workers: workers,
		}, s.Deadline, s.Words.To, s.Seed)
		if _, refused := errors.AsType[*invoke.NotAdmittedError](err); refused {
			return nil, nil, fmt.Errorf("%w; give --guarantee less, or shorter runs, for example %s", err, guaranteeable)
		}
		if err != nil {
			return nil, nil, err
		}
		return t, func() error { return t.Close(context.Background()) }, nil
	}
	definitions := pipeline.Defaults()
	if o.workflows != "" {
		text, err := os.ReadFile(o.workflows)
		if err != nil {
			return nil, nil, err
		}
		if definitions, err = pipeline.ParseDefinitions(o.workflows, text); err != nil {
			return nil, nil, err
		}
	}
	t, err := annotate.NewPipeline(definitions, workers)
	if err != nil {
		return nil, nil, err
	}
	return t, func() error { return t.Close(context.Background()) }, nil
}

func (o *annotateOptions) write(out io.Writer, r *annotate.Result) error {
	if o.json != "" {
		if err := annotate.Write(o.json, out, r); err != nil {
			return err
		}
	}
	if o.json == "-" {
		out = os.Stderr
	}
	if err := annotate.Summarize(out, r); err != nil {
		return err
	}
	return notMet(r)
}

func (o *annotateOptions) writeLimit(out io.Writer, found *annotate.Limit) error {
	if o.json != "" {
		if err := annotate.Write(o.json, out, found); err != nil {
			return err
		}
	}
	if o.json == "-" {
		out = os.Stderr
	}
	for i := range found.Runs {
		if err := annotate.Summarize(out, &found.Runs[i]); err != nil {
			return err
		}
	}
	switch {
	case !found.Found:
		return &statusError{missedTooMuch, "nothing that was tried holds"}
	case found.Cores != nil:
		_, err := fmt.Fprintf(out, "least R: %d workers hold %.0f documents/s\n", *found.Cores, found.RatePerS)
		return err
	}
	_, err := fmt.Fprintf(out, "%.0f documents/s hold in every seed\n", found.RatePerS)
	return err
}

func notMet(r *annotate.Result) error {
	if r.Met {
		return nil
	}
	return &statusError{missedTooMuch, fmt.Sprintf("%.4f %% of the documents were late, more than --max-late %g %%", 100*r.LateFraction, 100*r.MaxLate)}
}
