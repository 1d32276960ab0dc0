package together

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/priority"
	"github.com/starling-vr/starling/loadtest/annotate"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/trigger"
)

// MixFormat names the JSON form of a [Mix].
const MixFormat = "starling-loadtest-mix"

// Mix is the three workloads at once, with contracts and without.
type Mix struct {
	Format  string    `json:"format" jsonschema:"always starling-loadtest-mix"`
	Version int       `json:"version" jsonschema:"version of this form"`
	Started time.Time `json:"started" jsonschema:"when it began (RFC 3339)"`
	Command string    `json:"command,omitempty" jsonschema:"the command line"`

	LeftPerS float64        `json:"left_per_s" jsonschema:"documents per second beyond the guarantee for which the others left room, as found beforehand; twice as many are offered"`
	With     Share          `json:"with_contracts" jsonschema:"each workload has its contract"`
	Without  Share          `json:"without_contracts" jsonschema:"the same load, nobody is guaranteed or refused anything, and all processes are alike"`
	Machine  report.Machine `json:"machine" jsonschema:"where all of it ran, the load testers included"`
}

// Share is how the workloads fared in one run.
type Share struct {
	Actions    ActionsShare    `json:"actions" jsonschema:"street: groups of eight, ten actions a second each"`
	Annotation AnnotationShare `json:"annotation" jsonschema:"documents of 50 to 750 words"`
	Trigger    TriggerShare    `json:"trigger" jsonschema:"a poller that leaves its core while nothing is due"`
}

// ActionsShare is what the actions got. Contract: M of 1 % at most.
type ActionsShare struct {
	OfferedPerS float64 `json:"offered_per_s" jsonschema:"actions due, per second"`
	GoodputPerS float64 `json:"goodput_per_s" jsonschema:"actions seen by all affected within D, per second"`
	MissRate    float64 `json:"miss_rate" jsonschema:"M: share of the expected deliveries later than D = 15 ms or missing"`
	P99MS       float64 `json:"p99_ms" jsonschema:"99th percentile, action to update"`
	Kept        bool    `json:"kept" jsonschema:"M is 1 % at most"`
}

// AnnotationShare is what the documents got. Contract: 500 a second, F_l of 1 % at most
// of those admitted.
type AnnotationShare struct {
	OfferedPerS  float64 `json:"offered_per_s" jsonschema:"documents due, per second"`
	AdmittedPerS float64 `json:"admitted_per_s" jsonschema:"of these, not refused"`
	GoodputPerS  float64 `json:"goodput_per_s" jsonschema:"answered within 100 ms with all that is required, per second"`
	LateFraction float64 `json:"late_fraction" jsonschema:"F_l of those admitted"`
	ShedFraction float64 `json:"shed_fraction" jsonschema:"optional functions left out, per document"`
	P99MS        float64 `json:"p99_ms" jsonschema:"99th percentile, due to whole answer"`
	Kept         bool    `json:"kept" jsonschema:"at least 500 admitted per second, and F_l of these 1 % at most"`
}

// TriggerShare is what the trigger got. Contract: what the empty loop gets in the same mix,
// but for 5 %.
type TriggerShare struct {
	RatePerS   float64 `json:"rate_per_s" jsonschema:"records decided, per second"`
	Within3US  float64 `json:"within_3us" jsonschema:"share of the records due decided within 3 us"`
	EmptyLoop  float64 `json:"empty_loop_within_3us" jsonschema:"the same of a function that does nothing, by turns in the same run"`
	OfEmpty    float64 `json:"of_empty_loop" jsonschema:"the one as share of the other"`
	Turns      int     `json:"turns" jsonschema:"turns of the network within the measured time of the actions; what it did besides does not count"`
	MedianNS   int64   `json:"p50_ns" jsonschema:"median latency of all its turns"`
	Within30US float64 `json:"within_30us" jsonschema:"share decided within 30 us"`
	Kept       bool    `json:"kept" jsonschema:"rate held, and 95 % at least of what the empty loop gets"`
}

// MixOptions say what to mix.
type MixOptions struct {
	Duration time.Duration // of the measured time
	// Actions a second; half the stated limit of the street on this machine.
	Actions float64
	// Guarantee is documents a second.
	Guarantee float64
	// Trigger is records a second.
	Trigger float64
	Seed    uint64
	Command string
}

// Contracts of the mix.
const (
	mixMisses    = 0.01
	mixLate      = 0.01
	mixOfEmpty   = 0.95
	heldRate     = 0.99
	mixLimit     = 3 * time.Microsecond
	mixWarmup    = 6 * time.Second // all of them act before any of them is measured
	leastProbe   = 3000            // documents a second that are offered first, to find what there is room for
	mostProbe    = 8 * leastProbe  // more, and the load tester alone would fill a small machine
	probeFull    = 0.9             // of what is offered: who gets more may have room for more
	probeTime    = 5 * time.Second
	streetLambda = 10
	mixTurn      = 500 * time.Millisecond // of the network, and half as long the empty loop's
	startAndEnd  = 4 * time.Second        // that the trigger runs for longer than the others act
)

// Priorities of the mix with contracts, the shorter the deadline the higher; none needs
// rights. Measured in docs/decisions/isolation.md.
var (
	actionsFirst  = priority.Priority{Slice: priority.LeastSlice}
	pollerBetween = priority.Priority{Nice: pollerNice}
)

// documentsLast is of the server that annotates, which steps back by a setting of its own;
// its load tester stands for who is elsewhere, and what that is late by counts as late.
const documentsLast = "annotate.nice=19"

// pollerNice is of the trigger's poller, which hardly ever sleeps and would take its
// share of a core from the actions for good.
const pollerNice = 10

// RunMix finds what is left over beside the contracts, offers twice that, and runs the
// mix with contracts and without.
func RunMix(ctx context.Context, r *Runner, o MixOptions) (*Mix, error) {
	m := &Mix{Format: MixFormat, Version: Version, Started: time.Now(), Command: o.Command}
	room, err := findRoom(ctx, r, o)
	if err != nil {
		return nil, err
	}
	m.LeftPerS = max(0, room-o.Guarantee)
	offered := o.Guarantee + 2*m.LeftPerS
	r.Tell(fmt.Sprintf("left over: %.0f documents/s beyond the guarantee; offered: %.0f/s", m.LeftPerS, offered))
	with, machine, err := once(ctx, r, o, offered, true, "with")
	if err != nil {
		return nil, err
	}
	without, _, err := once(ctx, r, o, offered, false, "without")
	if err != nil {
		return nil, err
	}
	m.With, m.Without, m.Machine = with, without, machine
	return m, nil
}

// findRoom gives the documents a second that there is room for beside the others, by
// offering twice as many until they are too many.
func findRoom(ctx context.Context, r *Runner, o MixOptions) (perS float64, err error) {
	o.Duration = probeTime
	for offered := float64(leastProbe); ; offered *= 2 {
		found, _, err := once(ctx, r, o, offered, true, "probe")
		if err != nil {
			return 0, err
		}
		perS = max(perS, found.Annotation.GoodputPerS)
		if found.Annotation.GoodputPerS < probeFull*offered || offered >= mostProbe {
			return perS, nil
		}
	}
}

// once runs the three at once.
func once(ctx context.Context, r *Runner, o MixOptions, documents float64, contracts bool, name string) (Share, report.Machine, error) {
	workflows, err := writeWorkflows(r.Dir, name, o.Guarantee, contracts)
	if err != nil {
		return Share{}, report.Machine{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		all     sync.WaitGroup
		actions report.Run
		texts   annotate.Result
		records trigger.Result
	)
	start := func(part string, as priority.Priority, arguments []string, into any) {
		if !contracts {
			as = priority.Priority{}
		}
		all.Go(func() {
			if err := r.RunAs(ctx, as, name+"-"+part, arguments, into); err != nil {
				cancel(err)
			}
		})
	}
	seed := strconv.FormatUint(o.Seed, 10)
	participants := strconv.Itoa(max(8, int(o.Actions/streetLambda)))
	crowd := append([]string{"crowd", "--plain", "--scenario", "street", "--participants", participants, "--seed", seed,
		"--warmup", mixWarmup.String(), "--duration", o.Duration.String()}, asInProduction...)
	annotations := []string{"annotate", "--self", "--rate", number(documents), "--seed", seed, "--warmup", mixWarmup.String(),
		"--duration", o.Duration.String(), "--set", "annotate.workflows=" + workflows}
	nice := 0
	if contracts {
		nice = pollerNice
		annotations = append(annotations, "--set", documentsLast)
	} else {
		crowd = append(crowd, "--set", "gateway.refuse_overload=false")
	}
	// Two thirds of its time are the network's, the rest is the empty loop's.
	triggered := []string{"trigger", "--plain", "--net", "jet", "--rate", number(o.Trigger), "--limit", mixLimit.String(), "--poller", "yielding",
		"--cores", "1", "--nice", strconv.Itoa(nice), "--seed", seed, "--turn", mixTurn.String(),
		"--duration", ((mixWarmup + o.Duration + startAndEnd) * 2 / 3).String()}
	start("actions", actionsFirst, crowd, &actions)
	start("annotation", priority.Priority{}, annotations, &texts)
	start("trigger", pollerBetween, triggered, &records)
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return Share{}, report.Machine{}, err
	}
	window := window{actions.Started, actions.Started.Add(time.Duration(actions.DurationS * float64(time.Second)))}
	return Share{actionsShare(&actions), annotationShare(&texts, o), triggerShare(&records, window, o)}, actions.Machine, nil
}

// writeWorkflows writes the workflow of the documents: hard and guaranteed, or, without
// contracts, with a deadline that refuses and sheds nothing.
func writeWorkflows(dir, name string, guarantee float64, contracts bool) (path string, err error) {
	head := fmt.Sprintf("deadline = \"100ms\"\nhard = true\nrate = %g\nmiss_target = %g\n", guarantee, mixLate)
	if !contracts {
		head = "deadline = \"60s\"\n"
	}
	path = filepath.Join(dir, name+"-workflows.toml")
	return path, os.WriteFile(path, []byte("[[workflow]]\nname = \"default\"\n"+head+mixSteps), 0o600)
}

const mixSteps = `topic = [
  { name = "business", words = ["company", "market", "shares", "profit", "investors", "bank"] },
  { name = "politics", words = ["government", "election", "president", "minister", "parliament"] },
  { name = "sport", words = ["team", "match", "players", "season", "coach", "league"] },
]
step = [
  { function = "speech" },
  { function = "entities" },
  { function = "knowledge" },
  { function = "topics" },
  { function = "sentiment" },
  { function = "summary", optional = 1 },
  { function = "keyphrases", optional = 2 },
]
`

func actionsShare(r *report.Run) ActionsShare {
	return ActionsShare{
		OfferedPerS: r.OfferedPerS, GoodputPerS: r.GoodputPerS, MissRate: r.MissRate, P99MS: r.LatencyMS.P99, Kept: r.MissRate <= mixMisses,
	}
}

func annotationShare(r *annotate.Result, o MixOptions) AnnotationShare {
	admitted := float64(r.Documents-r.Refused) / max(r.Duration, 1e-9)
	return AnnotationShare{
		OfferedPerS: r.OfferedPerS, AdmittedPerS: admitted, GoodputPerS: r.AchievedPerS, LateFraction: r.AdmittedLateFraction,
		ShedFraction: r.ShedFraction, P99MS: r.LatencyMS.P99,
		Kept: admitted >= min(o.Guarantee, r.OfferedPerS)*heldRate && r.AdmittedLateFraction <= mixLate,
	}
}

// window is the time in which the actions were measured. What the trigger did before and
// after it, the others still starting or gone, says nothing of the mix.
type window struct{ begin, end time.Time }

// parts adds up the turns of the network, or of the empty loop, that lie within the
// window.
func (w window) parts(r *trigger.Result, empty bool) (sum partSum) {
	for i := range r.Parts {
		p := &r.Parts[i]
		began := r.Started.Add(seconds(p.BeganS))
		if p.Empty != empty || began.Before(w.begin) || began.Add(seconds(p.DurationS)).After(w.end) {
			continue
		}
		due := float64(p.Due)
		sum.due += due
		sum.decided += p.RatePerS * p.DurationS
		sum.seconds += p.DurationS
		sum.us3 += p.Within.US3 * due
		sum.us30 += p.Within.US30 * due
		sum.turns++
	}
	return sum
}

type partSum struct {
	due, decided, seconds, us3, us30 float64
	turns                            int
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func share(part, all float64) float64 {
	if all == 0 {
		return 0
	}
	return part / all
}

func triggerShare(r *trigger.Result, w window, o MixOptions) TriggerShare {
	network, empty := w.parts(r, false), w.parts(r, true)
	s := TriggerShare{
		RatePerS: share(network.decided, network.seconds), Within3US: share(network.us3, network.due), Within30US: share(network.us30, network.due),
		EmptyLoop: share(empty.us3, empty.due), Turns: network.turns, MedianNS: r.LatencyNS.P50,
	}
	s.OfEmpty = share(s.Within3US, s.EmptyLoop)
	s.Kept = s.RatePerS >= heldRate*o.Trigger && s.OfEmpty >= mixOfEmpty
	return s
}
