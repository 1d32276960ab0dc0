package report

// NearestCounts are sums over actions due and their deliveries to those to whom
// the actor is one of the nearest: what a delivery budget keeps at full rate,
// whatever it does to the rest.
type NearestCounts struct {
	Goodput       int64 `json:"goodput" jsonschema:"actions committed, and delivered within D to everybody to whom the actor is one of the nearest"`
	ActionsMissed int64 `json:"actions_missed" jsonschema:"actions due that were refused, unanswered, or not seen within D by somebody to whom the actor is one of the nearest"`

	DeliveriesExpected   int64 `json:"deliveries_expected" jsonschema:"of deliveries_expected, those to participants to whom the actor is one of the nearest; those of refused actions count too"`
	DeliveriesReceived   int64 `json:"deliveries_received" jsonschema:"of these, those received"`
	DeliveriesMissed     int64 `json:"deliveries_missed" jsonschema:"of the expected, those later than D or missing"`
	DeliveriesMissed30MS int64 `json:"deliveries_missed_30ms" jsonschema:"the same for 30 ms"`
	DeliveriesAdmitted   int64 `json:"deliveries_admitted" jsonschema:"of the expected, those of actions that the server took on"`
	AdmittedMissed       int64 `json:"admitted_missed" jsonschema:"of these, those later than D or missing: what the delivery budget lost, not the gate"`
}

// Nearest are the deliveries to participants of actions by those nearest to them.
type Nearest struct {
	Count int `json:"count" jsonschema:"how many of those that a participant sees count as its nearest"`
	NearestCounts
	GoodputPerS      float64          `json:"goodput_per_s" jsonschema:"goodput, per second"`
	MissRate         float64          `json:"miss_rate" jsonschema:"share of the expected that missed D"`
	MissRate30MS     float64          `json:"miss_rate_30ms" jsonschema:"the same for 30 ms"`
	AdmittedMissRate float64          `json:"admitted_miss_rate" jsonschema:"share of the deliveries of admitted actions that missed D"`
	ActionMissRate   float64          `json:"action_miss_rate" jsonschema:"share of the actions due that count in actions_missed"`
	LatencyMS        ArrivalQuantiles `json:"latency_ms" jsonschema:"latency of the received; null if nothing arrived"`
}

// Add sums two counts.
func (n *NearestCounts) Add(o NearestCounts) {
	n.Goodput += o.Goodput
	n.ActionsMissed += o.ActionsMissed
	n.DeliveriesExpected += o.DeliveriesExpected
	n.DeliveriesReceived += o.DeliveriesReceived
	n.DeliveriesMissed += o.DeliveriesMissed
	n.DeliveriesMissed30MS += o.DeliveriesMissed30MS
	n.DeliveriesAdmitted += o.DeliveriesAdmitted
	n.AdmittedMissed += o.AdmittedMissed
}

// MissRate is the share of the expected deliveries that missed D.
func (n *NearestCounts) missRate() float64 { return share(n.DeliveriesMissed, n.DeliveriesExpected) }

// admittedMissRate is the same of actions that the server took on.
func (n *NearestCounts) admittedMissRate() float64 {
	return share(n.AdmittedMissed, n.DeliveriesAdmitted)
}

// derive computes the shares.
func (n *Nearest) derive(r *Run, perSecond func(int64) float64) {
	n.GoodputPerS = perSecond(n.Goodput)
	n.MissRate, n.MissRate30MS = n.missRate(), share(n.DeliveriesMissed30MS, n.DeliveriesExpected)
	n.AdmittedMissRate, n.ActionMissRate = n.admittedMissRate(), share(n.ActionsMissed, r.Offered)
	n.LatencyMS = ArrivalQuantiles(r.Histograms.NearestUS.milliseconds())
}

// nearestOf gives the counts of a second; nothing where no crowd was denser.
func (s *Second) nearestOf() NearestCounts {
	if s.Nearest == nil {
		return NearestCounts{}
	}
	return *s.Nearest
}
