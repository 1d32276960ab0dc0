// Package report holds the results of load tests: what is measured, the
// documented JSON form (docs/reference/loadtest-json.md), merging, comparing,
// the live view in a terminal, and the HTML page.
//
// A generator fills a [Run] with counts and histograms and calls [Run.Derive],
// which computes all rates, quantiles and shares from them, so that they are
// computed in one place and the same way after a merge.
package report

import "time"

// Format and Version name the JSON form of a [Run]. A field may be added
// within a version; what a field means changes only with the version.
const (
	Format  = "starling-loadtest-run"
	Version = 1
)

// Run is the result of one run, or of several merged into one.
// A figure that could not be had is null, never 0.
type Run struct {
	Format   string `json:"format" jsonschema:"always starling-loadtest-run"`
	Version  int    `json:"version" jsonschema:"version of this form; a reader refuses a newer one"`
	Starling string `json:"starling" jsonschema:"version of the load tester"`
	Label    string `json:"label,omitempty" jsonschema:"what the user calls this run"`

	Started  time.Time `json:"started" jsonschema:"when the measured time began (RFC 3339)"`
	Command  string    `json:"command,omitempty" jsonschema:"the command line, without secrets"`
	Target   string    `json:"target" jsonschema:"address that was driven, or self"`
	Runs     int       `json:"runs" jsonschema:"how many runs were merged into this one; 1 for a run of its own"`
	Seed     uint64    `json:"seed" jsonschema:"seed of everything random; of several runs, the first one's"`
	Seeds    []uint64  `json:"seeds,omitempty" jsonschema:"of merged runs, all their seeds"`
	Scenario string    `json:"scenario" jsonschema:"name or file of the scenario"`
	Model    Model     `json:"model" jsonschema:"parameters of the crowd"`

	Backend    string  `json:"backend,omitempty" jsonschema:"what was driven: starling, or yardstick, a bare broadcast loop; absent if not known"`
	WaitMS     float64 `json:"wait_ms,omitempty" jsonschema:"of a yardstick: how long what is to be told waits for company"`
	Store      string  `json:"store" jsonschema:"memory, embedded or redis; empty if not known"`
	Durability string  `json:"durability" jsonschema:"memory, disk or replicated; empty if not known"`
	Owners     int     `json:"owners,omitempty" jsonschema:"processes that own shards, where known"`

	Participants int     `json:"participants" jsonschema:"participants of the crowd"`
	DeadlineMS   float64 `json:"deadline_ms" jsonschema:"D: from the time an action was due to its update at each affected participant"`
	WarmupS      float64 `json:"warmup_s" jsonschema:"time before the measured time"`
	DurationS    float64 `json:"duration_s" jsonschema:"measured time; of merged runs, their sum"`

	OfferedPerS  float64 `json:"offered_per_s" jsonschema:"actions due, per second"`
	AdmittedPerS float64 `json:"admitted_per_s" jsonschema:"actions the server took on, per second"`
	AchievedPerS float64 `json:"achieved_per_s" jsonschema:"actions applied and committed, per second"`
	GoodputPerS  float64 `json:"goodput_per_s" jsonschema:"actions committed, and delivered to every affected participant within D, per second"`

	Counts

	MissRate           float64 `json:"miss_rate" jsonschema:"share of the expected deliveries that were later than D or missing"`
	MissRate30MS       float64 `json:"miss_rate_30ms" jsonschema:"the same for 30 ms"`
	ActionMissRate     float64 `json:"action_miss_rate" jsonschema:"share of the actions due of which any affected participant had seen nothing within D; refused and unanswered ones count as missed"`
	ActionMissRate30MS float64 `json:"action_miss_rate_30ms" jsonschema:"the same for 30 ms"`

	LatencyMS ArrivalQuantiles `json:"latency_ms" jsonschema:"from the time an action was due to its update at each affected participant who got it; what never came is in miss_rate; null if nothing arrived"`
	OutcomeMS *Quantiles       `json:"outcome_ms" jsonschema:"from the time an action was due to its outcome at the actor"`
	GapMS     *Quantiles       `json:"gap_ms" jsonschema:"time between two updates of the same viewer, while others in view act"`

	Nearest   *Nearest  `json:"nearest,omitempty" jsonschema:"the same of the nearest alone, where crowds are denser than that: what a delivery budget keeps at full rate"`
	Server    *Server   `json:"server" jsonschema:"processor and memory of the server: the process tree, Redis included; null if it could not be seen"`
	Generator Generator `json:"generator" jsonschema:"what the load tester itself used"`

	Yardstick *Measure `json:"yardstick,omitempty" jsonschema:"the same crowd on a bare broadcast loop, directly before or after: figures of different machines compare as ratios to it"`

	GeneratorLimited    bool   `json:"generator_limited" jsonschema:"true if the load tester, not the server, was the limit: the figures then say little of the server"`
	GeneratorLimitedWhy string `json:"generator_limited_why,omitempty" jsonschema:"how that was noticed"`

	UsedGBS     *float64 `json:"used_gb_s" jsonschema:"Used: memory of each invocation times its run time, summed; GB x second"`
	ReservedGBS *float64 `json:"reserved_gb_s" jsonschema:"R: memory reserved for the functions times the measured time; GB x second"`

	UsageByClass map[string]ClassUsage `json:"usage_by_class,omitempty" jsonschema:"the same by class of function (hard, soft, best_effort), with the cores reserved"`

	RefusalsByCode map[string]int64 `json:"refusals_by_code" jsonschema:"refused actions by the code of the refusal"`
	RefusalSpread  *RefusalSpread   `json:"refusal_spread" jsonschema:"how evenly the refusals fell on the participants; null if nothing was refused"`

	Affected *Spread `json:"affected" jsonschema:"P(L): participants affected by an action, the actor included"`
	Work     []Work  `json:"work" jsonschema:"F(L) as seen: what an action took, by how many participants it affected"`

	Cells                 int     `json:"cells" jsonschema:"cells in which somebody stood"`
	Shards                int     `json:"shards" jsonschema:"shards in which somebody stood"`
	CellCrossings         int64   `json:"cell_crossings" jsonschema:"moves into another cell"`
	ShardCrossings        int64   `json:"shard_crossings" jsonschema:"of these, into another shard"`
	CellCrossingsPerS     float64 `json:"cell_crossings_per_s" jsonschema:"moves into another cell, per second"`
	ShardCrossingsPerS    float64 `json:"shard_crossings_per_s" jsonschema:"moves into another shard, per second"`
	BytesReceived         int64   `json:"bytes_received" jsonschema:"bytes that the participants read, as counted at their sockets"`
	BytesSent             int64   `json:"bytes_sent" jsonschema:"bytes that the participants wrote"`
	Reconnects            int64   `json:"reconnects" jsonschema:"connections that participants opened anew within the measured time"`
	BytesReceivedPerS     float64 `json:"bytes_received_per_s" jsonschema:"bytes that the participants read, per second"`
	BytesSentPerS         float64 `json:"bytes_sent_per_s" jsonschema:"bytes that the participants wrote, per second"`
	DeliveriesPerAction   float64 `json:"deliveries_per_action" jsonschema:"expected deliveries for each action due"`
	DeliveriesReceivedPer float64 `json:"deliveries_received_per_s" jsonschema:"received deliveries, per second"`

	Machine Machine  `json:"machine" jsonschema:"the machine of the load tester (with --self: of everything)"`
	Notes   []string `json:"notes,omitempty" jsonschema:"remarks for whoever reads the figures"`

	Histograms Histograms `json:"histograms" jsonschema:"the distributions, so that runs can be merged and compared: HdrHistogram V2, compressed, base64"`
	Series     []Second   `json:"series" jsonschema:"the measured time second by second"`
}

// Model are the parameters of a crowd, in the symbols of the workload model
// (lambda, L, F).
type Model struct {
	RatePerParticipant float64            `json:"rate_per_participant" jsonschema:"lambda: mean actions per second of a participant"`
	Arrivals           string             `json:"arrivals" jsonschema:"how actions arrive: poisson, on-off, flash, ..."`
	Groups             int                `json:"groups" jsonschema:"clusters or places among which the participants are spread"`
	GroupSize          float64            `json:"group_size" jsonschema:"mean participants of a cluster or place"`
	Density            float64            `json:"density" jsonschema:"participants per cell that anybody stands in, mean at the start"`
	DensityFactor      float64            `json:"density_factor,omitempty" jsonschema:"how much denser clusters are than in the scenario"`
	Ring               int                `json:"ring" jsonschema:"rings of cells around their own that participants watch"`
	Mix                map[string]float64 `json:"mix" jsonschema:"share of each function among the actions"`
	WorkUS             float64            `json:"work_us" jsonschema:"F(L) as an input: microseconds that the function works on each action, besides its own"`
	WorkPerNeighbourUS float64            `json:"work_per_neighbour_us" jsonschema:"F(L) as an input: microseconds more for each neighbour"`
}

// Counts are sums over actions due in the measured time and their deliveries.
type Counts struct {
	Offered    int64 `json:"offered" jsonschema:"actions due; each was refused, achieved or left unanswered"`
	Admitted   int64 `json:"admitted" jsonschema:"actions the server took on: achieved, or refused by their function for good"`
	Achieved   int64 `json:"achieved" jsonschema:"actions applied and committed"`
	Goodput    int64 `json:"goodput" jsonschema:"actions committed, and delivered to every affected participant within D"`
	Refused    int64 `json:"refused" jsonschema:"actions refused, with a retryable code or for good"`
	Unanswered int64 `json:"unanswered" jsonschema:"actions without an outcome, those included that could not be sent"`

	ActionsMissed     int64 `json:"actions_missed" jsonschema:"actions due that were refused, unanswered, or not seen within D by an affected participant"`
	ActionsMissed30MS int64 `json:"actions_missed_30ms" jsonschema:"the same for 30 ms"`

	DeliveriesExpected   int64 `json:"deliveries_expected" jsonschema:"action x affected participant, as the load tester computes it from its own positions; those of refused actions count too"`
	DeliveriesReceived   int64 `json:"deliveries_received" jsonschema:"of these, those whose participant came to hold a state that includes the action, or got the event"`
	DeliveriesConflated  int64 `json:"deliveries_conflated" jsonschema:"of the received, those that came within a later state"`
	DeliveriesMissed     int64 `json:"deliveries_missed" jsonschema:"of the expected, those later than D or missing"`
	DeliveriesMissed30MS int64 `json:"deliveries_missed_30ms" jsonschema:"the same for 30 ms"`
	DeliveriesUncertain  int64 `json:"deliveries_uncertain" jsonschema:"left out of the expected: the participant entered or left view at about that time, so that either was right"`
}

// Quantiles of a distribution in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50" jsonschema:"median"`
	P90  float64 `json:"p90" jsonschema:"90th percentile"`
	P99  float64 `json:"p99" jsonschema:"99th percentile"`
	P999 float64 `json:"p999" jsonschema:"99.9th percentile"`
	Max  float64 `json:"max" jsonschema:"largest"`
}

// Server is what the server used in the measured time.
type Server struct {
	CPUS             float64  `json:"cpu_s" jsonschema:"processor seconds, kernel included"`
	CPUUSPerAction   float64  `json:"cpu_us_per_action" jsonschema:"processor microseconds for each achieved action; null if there was none"`
	CPUUSPerDelivery float64  `json:"cpu_us_per_delivery" jsonschema:"processor microseconds for each received delivery; null if there was none"`
	RSSBytes         int64    `json:"rss_bytes" jsonschema:"largest resident memory seen"`
	RSSStartBytes    int64    `json:"rss_start_bytes" jsonschema:"resident memory when the measured time began"`
	StoreCPUS        *float64 `json:"store_cpu_s" jsonschema:"of cpu_s, the part of Redis; null if there is none or it could not be seen"`
}

// Generator is what the load tester used, and how late it was.
type Generator struct {
	CPUS     float64 `json:"cpu_s" jsonschema:"processor seconds, kernel included"`
	LagP50MS float64 `json:"lag_p50_ms" jsonschema:"how much later than due actions were written, median"`
	LagP99MS float64 `json:"lag_p99_ms" jsonschema:"the same, 99th percentile; part of the measured latencies"`
	LagMaxMS float64 `json:"lag_max_ms" jsonschema:"the same, largest"`
}

// RefusalSpread is a distribution over participants of the share of their own
// actions that were refused.
type RefusalSpread struct {
	Participants int     `json:"participants" jsonschema:"participants who asked for anything"`
	Hit          int     `json:"hit" jsonschema:"of these, those who were refused anything"`
	Least        float64 `json:"least" jsonschema:"smallest share"`
	P50          float64 `json:"p50" jsonschema:"median share"`
	P90          float64 `json:"p90" jsonschema:"90th percentile"`
	Most         float64 `json:"most" jsonschema:"largest share"`
	Jain         float64 `json:"jain" jsonschema:"Jain's fairness index of the shares that were not refused: 1 if all fared alike, 1/participants if one got everything"`
}

// Spread of a count.
type Spread struct {
	Mean float64 `json:"mean" jsonschema:"mean"`
	P10  int64   `json:"p10" jsonschema:"10th percentile"`
	P50  int64   `json:"p50" jsonschema:"median"`
	P90  int64   `json:"p90" jsonschema:"90th percentile"`
	P99  int64   `json:"p99" jsonschema:"99th percentile"`
	Max  int64   `json:"max" jsonschema:"largest"`
}

// Work is what actions took that affected a number of participants between
// From and To.
type Work struct {
	From      int     `json:"affected_from" jsonschema:"least number of affected participants"`
	To        int     `json:"affected_to" jsonschema:"largest number, included"`
	Actions   int64   `json:"actions" jsonschema:"actions due that affected so many"`
	Missed    int64   `json:"actions_missed" jsonschema:"of these, those missed at D"`
	LatencyUS int64   `json:"latency_us" jsonschema:"sum over these actions of the mean latency of their received deliveries, microseconds"`
	Seen      int64   `json:"seen" jsonschema:"actions within latency_us"`
	MeanMS    float64 `json:"mean_ms" jsonschema:"latency_us / seen, milliseconds; null if none was seen"`
}

// Machine is where a run took place.
type Machine struct {
	CPU               string   `json:"cpu" jsonschema:"model of the processor"`
	Cores             int      `json:"cores" jsonschema:"logical processors that the load tester may use"`
	MemoryBytes       int64    `json:"memory_bytes" jsonschema:"memory of the machine"`
	OS                string   `json:"os" jsonschema:"operating system and architecture"`
	Kernel            string   `json:"kernel" jsonschema:"release of the kernel"`
	Virtual           bool     `json:"virtual" jsonschema:"true on a virtual machine, as far as the processor tells"`
	Go                string   `json:"go" jsonschema:"version of Go"`
	CongestionControl string   `json:"congestion_control" jsonschema:"of TCP"`
	LoadAverage       float64  `json:"load_average" jsonschema:"runnable tasks, mean of the minute before the run; negative if unknown"`
	OthersCPUS        *float64 `json:"others_cpu_s" jsonschema:"processor seconds in the measured time that neither the server nor the load tester used: what else ran; null if unknown"`
	StolenCPUS        *float64 `json:"stolen_cpu_s" jsonschema:"processor seconds that the host of a virtual machine kept for others; null if unknown"`
}

// Histograms are the distributions of a run. Latencies, gaps and lags are in
// microseconds.
type Histograms struct {
	LatencyUS  *Histogram `json:"latency_us" jsonschema:"latency of received deliveries, microseconds"`
	OutcomeUS  *Histogram `json:"outcome_us,omitempty" jsonschema:"latency of outcomes at their actors, microseconds"`
	GapUS      *Histogram `json:"gap_us,omitempty" jsonschema:"time between two updates of a viewer, microseconds"`
	LagUS      *Histogram `json:"lag_us,omitempty" jsonschema:"lag of the load tester, microseconds"`
	Affected   *Histogram `json:"affected,omitempty" jsonschema:"P(L): participants affected by an action"`
	NearestUS  *Histogram `json:"nearest_us,omitempty" jsonschema:"latency of received deliveries of the nearest, microseconds"`
	RefusedPPM *Histogram `json:"refused_ppm,omitempty" jsonschema:"per participant, the share of actions refused, in millionths"`
}
