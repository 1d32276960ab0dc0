package trigger

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/loadtest/report"
)

// Format and Version name the JSON form of a Result. A field may be added within a
// version; what a field means changes only with the version.
const (
	Format  = "starling-loadtest-trigger"
	Version = 1
)

// Result is what a run found.
type Result struct {
	Format   string    `json:"format" jsonschema:"always starling-loadtest-trigger"`
	Version  int       `json:"version" jsonschema:"version of this form; a reader refuses a newer one"`
	Starling string    `json:"starling" jsonschema:"version of the load tester"`
	Label    string    `json:"label,omitempty" jsonschema:"what the user calls this run"`
	Started  time.Time `json:"started" jsonschema:"when the run began (RFC 3339)"`
	Command  string    `json:"command,omitempty" jsonschema:"the command line"`
	Seed     uint64    `json:"seed" jsonschema:"seed of everything random"`

	Network      string `json:"network" jsonschema:"name or shape of the network"`
	Op           int    `json:"op" jsonschema:"Op: operations for each record"`
	SizeBytes    int    `json:"size_bytes" jsonschema:"S_t: size of a record"`
	LimitNS      int64  `json:"limit_ns" jsonschema:"L_t: limit of the decision"`
	Instructions string `json:"instructions" jsonschema:"instructions of the kernels: vnni, avx2 or go"`
	Poller       string `json:"poller" jsonschema:"pinned or yielding"`
	Pollers      int    `json:"pollers" jsonschema:"how many pollers there were"`
	Cores        []int  `json:"cores" jsonschema:"the processors that they were kept on; empty for any"`
	BatchMost    int    `json:"batch_most" jsonschema:"the most records decided at once"`

	Records   int    `json:"records" jsonschema:"records in the arena of each poller"`
	Place     string `json:"place" jsonschema:"where they fit: l2, l3 or memory"`
	HugePages bool   `json:"huge_pages" jsonschema:"true if all of them lay in huge pages"`

	DurationS   float64  `json:"duration_s" jsonschema:"time in which the network ran; the empty function's turns come on top"`
	OfferedPerS *float64 `json:"offered_per_s" jsonschema:"N_t: records due, per second; null if as many as could be decided"`
	RatePerS    float64  `json:"rate_per_s" jsonschema:"records decided, per second"`
	Due         uint64   `json:"due" jsonschema:"records due"`

	Within     Within    `json:"within" jsonschema:"share of the records due whose decision came within"`
	EmptyLoop  Within    `json:"empty_loop" jsonschema:"the same for a function that does nothing, run by turns in the same run: the machine's own floor"`
	OfEmpty    Within    `json:"of_empty_loop" jsonschema:"within, as share of empty_loop"`
	LatencyNS  Quantiles `json:"latency_ns" jsonschema:"from when a record was due to its decision; what was never decided is in missed"`
	EmptyNS    Quantiles `json:"empty_loop_ns" jsonschema:"the same of the empty loop"`
	Parts      []Part    `json:"parts" jsonschema:"the turns, in their order"`
	InLimit    float64   `json:"within_limit" jsonschema:"share of the records due whose decision came within the limit"`
	EmptyLimit float64   `json:"empty_loop_within_limit" jsonschema:"the same of the empty loop"`
	Missed     uint64    `json:"missed" jsonschema:"records decided later than the limit, or never"`
	Lost       uint64    `json:"lost" jsonschema:"of these, those that waited so long that their ring could not hold them"`
	PutOff     uint64    `json:"put_off" jsonschema:"records that could no longer make the limit when their turn came, and gave way to those that could"`
	Failed     uint64    `json:"failed" jsonschema:"of these, those in batches whose kernel panicked"`
	Malformed  uint64    `json:"malformed" jsonschema:"records that made no sense"`
	Batches    uint64    `json:"batches" jsonschema:"batches of records"`
	PerBatch   float64   `json:"records_per_batch" jsonschema:"mean records of a batch"`
	BusyShare  float64   `json:"busy_share" jsonschema:"share of the pollers' time in batches"`
	Kernels    []Kernel  `json:"kernels" jsonschema:"the ladder, and how often each rung was taken"`
	Contract   string    `json:"contract,omitempty" jsonschema:"why the rate could not be guaranteed, with the arithmetic; the run went on as best effort"`
	Notes      []string  `json:"notes,omitempty" jsonschema:"remarks for whoever reads the figures"`

	Selected       uint64 `json:"selected" jsonschema:"records selected"`
	SelectedLost   uint64 `json:"selected_lost" jsonschema:"of these, those that found the way to the secondary chain full"`
	ChainCompleted uint64 `json:"chain_completed" jsonschema:"selected records that went through the secondary chain"`
	ChainRejected  uint64 `json:"chain_rejected" jsonschema:"selected records that the chain found of no interest after all"`
	ChainRefused   uint64 `json:"chain_refused" jsonschema:"selected records that a function of the chain refused: its queue was full or too slow"`
	ChainFailed    uint64 `json:"chain_failed" jsonschema:"selected records for which a function of the chain failed or hung"`
	ChainUnended   uint64 `json:"chain_unended" jsonschema:"selected records still in the chain 2 s after their turn; selected is the sum of these, selected_lost, chain_completed, chain_rejected, chain_refused and chain_failed"`
	ChainLate      uint64 `json:"chain_late" jsonschema:"of chain_completed, those past the chain's own deadline"`

	SampleRate  float64 `json:"sample_rate_per_s" jsonschema:"N_s: samples for updateModel per second, as asked for"`
	Samples     uint64  `json:"samples" jsonschema:"samples that became invocations of updateModel and ended"`
	SamplesLost uint64  `json:"samples_lost" jsonschema:"samples that did not: their way was full, they were refused, or they had not ended 2 s after their turn"`
	Updates     uint64  `json:"update_invocations" jsonschema:"invocations of updateModel in its account with the scheduler; as many as samples"`
	Swaps       uint64  `json:"swaps" jsonschema:"how often new weights were swapped in while the network ran"`
	Retrained   uint64  `json:"retrained" jsonschema:"of these, those that updateModel had retrained because the detector drifted"`

	Met     bool     `json:"met" jsonschema:"the paper's rule: all rates held, and nothing past the limit"`
	Unmet   []string `json:"unmet,omitempty" jsonschema:"why it is not met"`
	Machine Machine  `json:"machine" jsonschema:"the machine, and what limits it"`
}

// Within are shares, 0 to 1.
type Within struct {
	NS150 float64 `json:"ns150" jsonschema:"150 ns"`
	NS300 float64 `json:"ns300" jsonschema:"300 ns"`
	US1   float64 `json:"us1" jsonschema:"1 us"`
	US3   float64 `json:"us3" jsonschema:"3 us"`
	US30  float64 `json:"us30" jsonschema:"30 us"`
}

// Quantiles are times in nanoseconds.
type Quantiles struct {
	P50  int64 `json:"p50" jsonschema:"median"`
	P99  int64 `json:"p99" jsonschema:"99th percentile"`
	P999 int64 `json:"p999" jsonschema:"99.9th percentile"`
	Max  int64 `json:"max" jsonschema:"largest"`
}

// Part is one turn of the network or of the empty function.
type Part struct {
	Empty     bool    `json:"empty" jsonschema:"true for the empty function"`
	BeganS    float64 `json:"began_s" jsonschema:"when it began, seconds after started"`
	DurationS float64 `json:"duration_s" jsonschema:"how long it ran"`
	Due       uint64  `json:"due" jsonschema:"records due"`
	RatePerS  float64 `json:"rate_per_s" jsonschema:"records decided, per second"`
	Within    Within  `json:"within" jsonschema:"share of the records due whose decision came within"`
	P50NS     int64   `json:"p50_ns" jsonschema:"median latency"`
}

// Kernel is a rung of the ladder.
type Kernel struct {
	Size    int    `json:"size" jsonschema:"the most records that it takes"`
	NS      int64  `json:"ns" jsonschema:"what a full batch takes at least, as measured when the function was deployed"`
	Batches uint64 `json:"batches" jsonschema:"how often it ran"`
}

// Machine is the machine that a run was on.
type Machine struct {
	report.Machine
	Caches Caches   `json:"caches" jsonschema:"data caches of a core"`
	Clock  string   `json:"clock" jsonschema:"what counted the ticks: tsc or monotonic"`
	ClockH float64  `json:"clock_hz" jsonschema:"ticks per second"`
	Limits []string `json:"limits" jsonschema:"what of the machine limits the figures: instructions and cores that it lacks, and the like"`
}

// shares of all records due, not only of those decided.
func within(s *stream.Stats) Within {
	all := float64(max(s.Records(), 1))
	share := func(d time.Duration) float64 { return float64(s.Latency.Within(d)) / all }
	return Within{
		NS150: share(150), NS300: share(300),
		US1: share(time.Microsecond), US3: share(3 * time.Microsecond), US30: share(30 * time.Microsecond),
	}
}

func (w Within) of(floor Within) Within {
	ratio := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	return Within{ratio(w.NS150, floor.NS150), ratio(w.NS300, floor.NS300), ratio(w.US1, floor.US1), ratio(w.US3, floor.US3), ratio(w.US30, floor.US30)}
}

func quantiles(l *stream.Latencies) Quantiles {
	return Quantiles{
		P50: int64(l.Quantile(0.5)), P99: int64(l.Quantile(0.99)), P999: int64(l.Quantile(0.999)), Max: int64(l.Max()),
	}
}

// WithinLimit is which share of what the empty loop had within the limit the network
// had within it.
func (r *Result) WithinLimit() float64 {
	if r.EmptyLimit == 0 {
		return 0
	}
	return r.InLimit / r.EmptyLimit
}

// WriteFile writes a result to a file; "-" is standard output, "" nothing.
func WriteFile(path string, r *Result) error {
	switch path {
	case "":
		return nil
	case "-":
		return Write(os.Stdout, r)
	}
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Write writes a result.
func Write(w io.Writer, r *Result) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
