package report

import "fmt"

// What a run drives: the values of Run.Backend.
const (
	Starling  = "starling"
	Yardstick = "yardstick"
)

// Behind says in words what was driven, as far as that is known.
func (r *Run) Behind() string {
	switch {
	case r.Backend == Yardstick && r.WaitMS > 0:
		return fmt.Sprintf("yardstick that waits %g ms", r.WaitMS)
	case r.Backend == Yardstick:
		return Yardstick
	case r.Store != "":
		return "store " + r.Store + ", durability " + r.Durability
	}
	return ""
}

// Measure is what the yardstick, a bare broadcast loop, did with the same crowd
// on the same machine directly before or after.
type Measure struct {
	WaitMS             float64  `json:"wait_ms" jsonschema:"how long it let what it had to tell wait for company"`
	Achieved           int64    `json:"achieved" jsonschema:"actions that it applied"`
	CPUS               float64  `json:"cpu_s" jsonschema:"its processor seconds, kernel included"`
	DeliveriesExpected int64    `json:"deliveries_expected" jsonschema:"action x affected participant"`
	DeliveriesReceived int64    `json:"deliveries_received" jsonschema:"of these, those received"`
	DeliveriesMissed   int64    `json:"deliveries_missed" jsonschema:"of the expected, those later than D or missing"`
	GeneratorLimited   bool     `json:"generator_limited" jsonschema:"true if the load tester was its limit"`
	CPUUSPerAction     float64  `json:"cpu_us_per_action" jsonschema:"its processor microseconds for each achieved action; null if there was none"`
	CPUUSPerDelivery   float64  `json:"cpu_us_per_delivery" jsonschema:"its processor microseconds for each received delivery; null if there was none"`
	MissRate           float64  `json:"miss_rate" jsonschema:"share of its expected deliveries that missed D"`
	CPURatio           *float64 `json:"cpu_ratio" jsonschema:"the server's processor time for each action over the yardstick's; null if one of them is not known"`
}

// MeasureOf sums a run of the yardstick up.
func MeasureOf(r *Run) *Measure {
	m := &Measure{
		WaitMS: r.WaitMS, Achieved: r.Achieved, DeliveriesExpected: r.DeliveriesExpected, DeliveriesReceived: r.DeliveriesReceived,
		DeliveriesMissed: r.DeliveriesMissed, GeneratorLimited: r.GeneratorLimited,
	}
	if r.Server != nil {
		m.CPUS = r.Server.CPUS
	}
	m.derive(nil)
	return m
}

func (m *Measure) derive(server *Server) {
	m.CPUUSPerAction, m.CPUUSPerDelivery = per(1e6*m.CPUS, m.Achieved), per(1e6*m.CPUS, m.DeliveriesReceived)
	m.MissRate, m.CPURatio = share(m.DeliveriesMissed, m.DeliveriesExpected), nil
	if server != nil && m.CPUUSPerAction > 0 && server.CPUUSPerAction > 0 {
		ratio := round(server.CPUUSPerAction/m.CPUUSPerAction, 4)
		m.CPURatio = &ratio
	}
}

// measure adds what was measured beside another run. A sum over some of the runs
// would be one over none.
func (r *Run) measure(other *Measure) {
	if r.Yardstick == nil || other == nil || r.Yardstick.WaitMS != other.WaitMS {
		r.Yardstick = nil
		return
	}
	both := *r.Yardstick
	both.Achieved += other.Achieved
	both.CPUS += other.CPUS
	both.DeliveriesExpected += other.DeliveriesExpected
	both.DeliveriesReceived += other.DeliveriesReceived
	both.DeliveriesMissed += other.DeliveriesMissed
	both.GeneratorLimited = both.GeneratorLimited || other.GeneratorLimited
	r.Yardstick = &both
}

// Text says in a line how a server with the miss rate does beside it.
func (m *Measure) Text(missRate float64) string {
	text := "yardstick"
	if m.WaitMS > 0 {
		text += fmt.Sprintf(" that waits %g ms", m.WaitMS)
	}
	text += fmt.Sprintf(": %.0f us/action, missed %.3f %%", m.CPUUSPerAction, 100*m.MissRate)
	if m.CPURatio != nil {
		text += fmt.Sprintf("; an action costs the server %.2f times as much, and it missed %.3f %%", *m.CPURatio, 100*missRate)
	}
	if m.GeneratorLimited {
		text += " (the load tester was the yardstick's limit)"
	}
	return text
}

// card shows it on a page.
func (m *Measure) card() card {
	value, unit := "–", ""
	if m.CPURatio != nil {
		value, unit = fmt.Sprintf("%.2f", *m.CPURatio), "× its processor"
	}
	waits := ""
	if m.WaitMS > 0 {
		waits = fmt.Sprintf(", waiting %g ms", m.WaitMS)
	}
	return card{"", "Against the yardstick", value, unit, fmt.Sprintf("a bare broadcast loop%s: %.0f µs/action, %s missed", waits, m.CPUUSPerAction, percent(m.MissRate))}
}

// MeasuredLimit is the highest rate that the yardstick holds with the same crowds
// on the same machine, looked for by turns with the server's.
type MeasuredLimit struct {
	WaitMS   float64 `json:"wait_ms" jsonschema:"how long it let what it had to tell wait for company"`
	Found    bool    `json:"found" jsonschema:"false if not even the lowest rate that was tried held"`
	RatePerS float64 `json:"rate_per_s" jsonschema:"highest rate of actions that held in every seed"`
	LowPerS  float64 `json:"low_per_s" jsonschema:"smallest of the seeds' own limits"`
	HighPerS float64 `json:"high_per_s" jsonschema:"largest of the seeds' own limits"`
	Ratio    float64 `json:"ratio" jsonschema:"the server's rate_per_s over the yardstick's; 0 if one of them was not found"`
	Tries    []Try   `json:"tries" jsonschema:"what was tried, in order"`
}

// Measured sets the limit of the yardstick beside the server's.
func (l *Limit) Measured(waitMS float64, by *Limit) {
	m := &MeasuredLimit{WaitMS: waitMS, Found: by.Found, RatePerS: by.RatePerS, LowPerS: by.LowPerS, HighPerS: by.HighPerS, Tries: by.Tries}
	if l.Found && by.Found {
		m.Ratio = round(l.RatePerS/by.RatePerS, 4)
	}
	l.Yardstick = m
}

// Text says in a line what it holds.
func (m *MeasuredLimit) Text() string {
	text := "yardstick"
	if m.WaitMS > 0 {
		text += fmt.Sprintf(" that waits %g ms", m.WaitMS)
	}
	if !m.Found {
		return text + ": not even the lowest rate that was tried holds: this machine, or what else runs on it, is the limit"
	}
	text += fmt.Sprintf(": %.0f actions/s hold in every seed; the seeds' own limits are %.0f to %.0f/s", m.RatePerS, m.LowPerS, m.HighPerS)
	if m.Ratio > 0 {
		text += fmt.Sprintf("; the server holds %.2f of it", m.Ratio)
	}
	return text
}
