package annotate

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/starling-vr/starling/loadtest/report"
)

// Format names the JSON form of a [Result].
const Format = "starling-loadtest-annotate"

// Version of the form. Within a version fields are only added.
const Version = 1

// Result is what a run measured.
type Result struct {
	Format  string    `json:"format" jsonschema:"always starling-loadtest-annotate"`
	Version int       `json:"version" jsonschema:"version of this form"`
	Started time.Time `json:"started" jsonschema:"when the run began (RFC 3339)"`
	Command string    `json:"command" jsonschema:"command line, without secrets"`

	Through  string  `json:"through" jsonschema:"in-process, stream (NDJSON over HTTP), request (HTTP, one document each) or grpc (streams)"`
	Workflow string  `json:"workflow" jsonschema:"name of the workflow, empty for the server's default"`
	Words    string  `json:"words" jsonschema:"S: distribution of the number of words"`
	Arrivals string  `json:"arrivals" jsonschema:"poisson, uniform or bursts:N"`
	Corpus   string  `json:"corpus" jsonschema:"what documents are made of"`
	Deadline float64 `json:"deadline_ms" jsonschema:"D, from when a document is due to its whole answer"`
	Seed     uint64  `json:"seed" jsonschema:"of everything random"`
	Duration float64 `json:"duration_s" jsonschema:"measured time"`

	OfferedPerS  float64 `json:"offered_per_s" jsonschema:"documents due, per second"`
	AchievedPerS float64 `json:"achieved_per_s" jsonschema:"documents answered in time with all that is required, per second"`
	Documents    int64   `json:"documents" jsonschema:"documents due"`
	InTime       int64   `json:"in_time" jsonschema:"answered within D with all that is required"`
	Late         int64   `json:"late" jsonschema:"answered behind D, or by the server's own word late"`
	Failed       int64   `json:"failed" jsonschema:"a required function failed"`
	Refused      int64   `json:"refused" jsonschema:"refused, retryable or not"`
	Lost         int64   `json:"lost" jsonschema:"never answered"`

	RefusedByCode map[string]int64  `json:"refused_by_code" jsonschema:"answers without annotations, by code"`
	Reasons       map[string]string `json:"reasons,omitempty" jsonschema:"message of the first of them, by code"`

	LateFraction         float64          `json:"late_fraction" jsonschema:"F_l: share of the documents due that had a required function late or missing; refused, failed and lost ones count"`
	AdmittedLateFraction float64          `json:"admitted_late_fraction" jsonschema:"the same share of those that were not refused"`
	Shed                 map[string]int64 `json:"shed" jsonschema:"optional functions left out, by function"`
	ShedFraction         float64          `json:"shed_fraction" jsonschema:"functions shed over documents due"`
	Missing              map[string]int64 `json:"missing" jsonschema:"functions that failed, hung, panicked, leaked or were blocked, by function"`

	UsedGBS        *float64 `json:"used_gb_s" jsonschema:"memory x run time over all invocations, GB x s; null if unknown"`
	ReservedGBS    *float64 `json:"reserved_gb_s" jsonschema:"R: reserved memory x wall time, GB x s; null if unknown"`
	ReservedCoresS *float64 `json:"reserved_core_s" jsonschema:"R: reserved cores x wall time, core x s; null if unknown"`

	LatencyMS         report.Quantiles `json:"latency_ms" jsonschema:"from due to whole answer, of all documents that were annotated"`
	CPUUSPerDocument  *float64         `json:"cpu_us_per_document" jsonschema:"processor microseconds of the server for each answer, kernel included; in process the load tester's are in it; null if unknown"`
	ComputeUSDocument *float64         `json:"compute_us_per_document" jsonschema:"run time of the functions for each answer, microseconds, with what they waited for a processor; null if unknown"`
	BytesPerAnswer    float64          `json:"bytes_per_answer" jsonschema:"mean length of an answer; 0 in process"`
	RSSBytes          int64            `json:"rss_bytes" jsonschema:"resident memory of the server at the end; 0 if unknown"`

	MaxLate float64 `json:"max_late" jsonschema:"late_fraction that may not be exceeded"`
	Met     bool    `json:"met" jsonschema:"the requirement is met: late_fraction is within max_late"`

	Generator report.Generator `json:"generator" jsonschema:"what the load tester used, and how late it handed documents over"`
	Machine   report.Machine   `json:"machine" jsonschema:"where it ran"`

	Histogram *report.Histogram `json:"latency_us,omitempty" jsonschema:"distribution of the latency, microseconds"`
}

// result sums the run up.
func (d *drive) result(machine report.Machine) *Result {
	s, b := d.spec, d.books
	r := &Result{
		Format: Format, Version: Version, Started: d.began, Command: s.Command,
		Through: d.target.Name(), Workflow: s.Workflow, Words: s.Words.String(), Arrivals: s.Arrivals.String(), Corpus: s.Corpus.Name(),
		Deadline: milliseconds(s.Deadline), Seed: s.Seed, Duration: s.Duration.Seconds(), MaxLate: s.MaxLate,
		RefusedByCode: map[string]int64{}, Reasons: b.reasons, Shed: b.shed, Missing: b.missing, Histogram: report.NewHistogram(), Machine: machine,
	}
	answers := int64(0)
	for i, due := range b.due {
		if due < s.Warmup {
			continue
		}
		r.Documents++
		latency := b.answered[i] - due
		code := b.names[b.codes[i]]
		switch {
		case b.answered[i] == 0:
			r.Lost++
			continue
		case code == "function_failed":
			r.Failed++
		case code != "":
			r.Refused++
		case latency > s.Deadline || b.late[i]:
			r.Late++
		default:
			r.InTime++
		}
		answers++
		if code == "" {
			r.Histogram.RecordDuration(latency)
		} else {
			r.RefusedByCode[code]++
		}
	}
	r.rates(s)
	d.used(r, answers)
	return r
}

func (r *Result) rates(s *Spec) {
	documents := float64(max(r.Documents, 1))
	r.OfferedPerS = rounded(float64(r.Documents)/s.Duration.Seconds(), 1)
	r.AchievedPerS = rounded(float64(r.InTime)/s.Duration.Seconds(), 1)
	r.LateFraction = rounded(float64(r.Documents-r.InTime)/documents, 6)
	admitted := float64(max(r.Documents-r.Refused, 1))
	r.AdmittedLateFraction = rounded(float64(r.Late+r.Failed+r.Lost)/admitted, 6)
	r.Met = r.LateFraction <= r.MaxLate
	var shed int64
	for _, n := range r.Shed {
		shed += n
	}
	r.ShedFraction = rounded(float64(shed)/documents, 6)
	at := func(q float64) float64 { return float64(r.Histogram.Quantile(q)) / 1000 }
	r.LatencyMS = report.Quantiles{P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
}

// used writes what was used between the two readings.
func (d *drive) used(r *Result, answers int64) {
	own := (d.lastCPU - d.firstCPU).Seconds()
	per := func(seconds float64) *float64 {
		us := rounded(seconds*1e6/float64(max(answers, 1)), 1)
		return &us
	}
	used := time.Duration(own * float64(time.Second))
	if server := d.last.CPU - d.first.CPU; server > 0 {
		r.CPUUSPerDocument = per(server)
		if !d.last.InProcess {
			used += time.Duration(server * float64(time.Second))
		}
	}
	if a, b := d.first.Compute, d.last.Compute; a != nil && b != nil {
		r.ComputeUSDocument = per(*b - *a)
	}
	r.UsedGBS = difference(d.first.Used, d.last.Used)
	r.ReservedGBS = difference(d.first.Reserved, d.last.Reserved)
	r.ReservedCoresS = difference(d.first.ReservedCores, d.last.ReservedCores)
	r.RSSBytes = d.last.RSS
	r.BytesPerAnswer = rounded(float64(d.books.bytes)/float64(max(answers, 1)), 1)
	r.Generator = report.Generator{
		CPUS: rounded(own, 3), LagP50MS: float64(d.lag.Quantile(0.5)) / 1000,
		LagP99MS: float64(d.lag.Quantile(0.99)) / 1000, LagMaxMS: float64(d.lag.Max()) / 1000,
	}
	r.Machine.Since(d.others[0], used)
}

func difference(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	d := rounded(*b-*a, 9)
	return &d
}

func rounded(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Schema gives the JSON Schema (2020-12) of a result.
func Schema() *jsonschema.Schema {
	return report.SchemaOf[Result]("Starling annotation load test", "Result of one run of `starling loadtest annotate`.")
}

// Write writes results, one as an object, several as an array; "-" is standard output.
func Write(path string, out io.Writer, document any) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if path == "-" {
		_, err := out.Write(text)
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}
