package report

import "time"

// LimitFormat names the JSON form of a [Limit].
const LimitFormat = "starling-loadtest-limit"

// Limit is what a search for the highest rate found.
type Limit struct {
	Format   string    `json:"format" jsonschema:"always starling-loadtest-limit"`
	Version  int       `json:"version" jsonschema:"version of this form; a reader refuses a newer one"`
	Started  time.Time `json:"started" jsonschema:"when the search began (RFC 3339)"`
	Scenario string    `json:"scenario" jsonschema:"name or file of the scenario"`
	MaxMiss  float64   `json:"max_miss" jsonschema:"miss rate that a rate may not exceed to hold"`

	Found    bool    `json:"found" jsonschema:"false if not even the lowest rate that was tried held"`
	RatePerS float64 `json:"rate_per_s" jsonschema:"highest rate of actions that was tried and held in every seed"`
	LowPerS  float64 `json:"low_per_s" jsonschema:"smallest of the seeds' own limits"`
	HighPerS float64 `json:"high_per_s" jsonschema:"largest of the seeds' own limits"`

	Interrupted bool `json:"interrupted,omitempty" jsonschema:"true if the search was ended before it was over: the limit is not known, low_per_s and high_per_s are of the seeds that were finished"`

	Yardstick *MeasuredLimit `json:"yardstick,omitempty" jsonschema:"the limit of a bare broadcast loop with the same crowds"`

	Tries []Try `json:"tries" jsonschema:"what was tried, in order"`
	Runs  []Run `json:"runs" jsonschema:"the runs at rate_per_s, one for each seed"`
}

// Try is one run of a search.
type Try struct {
	Seed           uint64  `json:"seed" jsonschema:"seed of the run"`
	OfferedPerS    float64 `json:"offered_per_s" jsonschema:"actions due, per second"`
	AchievedPerS   float64 `json:"achieved_per_s" jsonschema:"actions applied, per second"`
	MissRate       float64 `json:"miss_rate" jsonschema:"share of the expected deliveries later than D or missing"`
	ActionMissRate float64 `json:"action_miss_rate" jsonschema:"share of the actions missed"`
	P99MS          float64 `json:"p99_ms" jsonschema:"99th percentile of the latency; null if nothing arrived"`
	CPUUSPerAction float64 `json:"cpu_us_per_action" jsonschema:"processor microseconds of the server for each achieved action; null if unknown"`
	Limited        bool    `json:"generator_limited" jsonschema:"true if the load tester was the limit"`
	Held           bool    `json:"held" jsonschema:"true if the miss rate was within max_miss"`
}

// TryOf sums a run up.
func TryOf(r *Run, maxMiss float64) Try {
	t := Try{
		Seed: r.Seed, OfferedPerS: r.OfferedPerS, AchievedPerS: r.AchievedPerS, MissRate: r.MissRate,
		ActionMissRate: r.ActionMissRate, P99MS: r.LatencyMS.P99, Limited: r.GeneratorLimited, Held: r.MissRate <= maxMiss,
	}
	if r.Server != nil {
		t.CPUUSPerAction = r.Server.CPUUSPerAction
	}
	return t
}
