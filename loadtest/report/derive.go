package report

import (
	"fmt"
	"math"
)

// Derive computes rates, quantiles and shares from the counts, histograms,
// DurationS, and the processor seconds. It sets Format and Version, and Runs
// if it is 0. Calling it again changes nothing.
func (r *Run) Derive() {
	r.Format, r.Version, r.Runs = Format, Version, max(r.Runs, 1)
	if r.Histograms.LatencyUS == nil {
		r.Histograms.LatencyUS = NewHistogram()
	}
	if r.RefusalsByCode == nil {
		r.RefusalsByCode = map[string]int64{}
	}
	if r.Work == nil {
		r.Work = []Work{}
	}
	if r.Series == nil {
		r.Series = []Second{}
	}
	if r.Model.Mix == nil {
		r.Model.Mix = map[string]float64{}
	}
	r.rates()
	r.distributions()
	if s := r.Server; s != nil {
		s.CPUUSPerAction = per(1e6*s.CPUS, r.Achieved)
		s.CPUUSPerDelivery = per(1e6*s.CPUS, r.DeliveriesReceived)
	}
	if r.Yardstick != nil {
		r.Yardstick.derive(r.Server)
	}
	for i := range r.Work {
		w := &r.Work[i]
		w.MeanMS = per(float64(w.LatencyUS)/1000, w.Seen)
	}
}

func (r *Run) rates() {
	perSecond := func(n int64) float64 {
		if r.DurationS <= 0 {
			return 0
		}
		return round(float64(n)/r.DurationS, 3)
	}
	r.OfferedPerS, r.AdmittedPerS = perSecond(r.Offered), perSecond(r.Admitted)
	r.AchievedPerS, r.GoodputPerS = perSecond(r.Achieved), perSecond(r.Goodput)
	r.CellCrossingsPerS, r.ShardCrossingsPerS = perSecond(r.CellCrossings), perSecond(r.ShardCrossings)
	r.BytesReceivedPerS, r.BytesSentPerS = perSecond(r.BytesReceived), perSecond(r.BytesSent)
	r.DeliveriesReceivedPer = perSecond(r.DeliveriesReceived)
	r.DeliveriesPerAction = per(float64(r.DeliveriesExpected), r.Offered)
	r.MissRate, r.MissRate30MS = r.missRate(), share(r.DeliveriesMissed30MS, r.DeliveriesExpected)
	if r.Nearest != nil {
		r.Nearest.derive(r, perSecond)
	}
	r.ActionMissRate, r.ActionMissRate30MS = share(r.ActionsMissed, r.Offered), share(r.ActionsMissed30MS, r.Offered)
}

func (r *Run) distributions() {
	h := &r.Histograms
	r.LatencyMS = ArrivalQuantiles(h.LatencyUS.milliseconds())
	r.OutcomeMS, r.GapMS, r.Affected, r.RefusalSpread = nil, nil, nil, nil
	if h.OutcomeUS.Count() > 0 {
		q := h.OutcomeUS.milliseconds()
		r.OutcomeMS = &q
	}
	if h.GapUS.Count() > 0 {
		q := h.GapUS.milliseconds()
		r.GapMS = &q
	}
	if h.LagUS.Count() > 0 {
		q := h.LagUS.milliseconds()
		r.Generator.LagP50MS, r.Generator.LagP99MS, r.Generator.LagMaxMS = q.P50, q.P99, q.Max
	}
	if h.Affected.Count() > 0 {
		s := h.Affected.spread()
		r.Affected = &s
	}
	if r.Refused > 0 && h.RefusedPPM.Count() > 0 {
		s := refusalSpread(h.RefusedPPM)
		r.RefusalSpread = &s
	}
}

// refusalSpread reads the spread from the histogram of shares in millionths.
// Jain, Chiu, Hawe: A Quantitative Measure of Fairness (DEC TR-301, 1984):
// (sum x)^2 / (n sum x^2).
func refusalSpread(h *Histogram) RefusalSpread {
	var n, hit int64
	var sum, squares float64
	for _, b := range h.Bars() {
		refused := min(float64(b.From+b.To)/2e6, 1)
		if b.From > 0 {
			hit += b.Count
		}
		n += b.Count
		sum += float64(b.Count) * (1 - refused)
		squares += float64(b.Count) * (1 - refused) * (1 - refused)
	}
	jain := 1.0
	if squares > 0 {
		jain = sum * sum / (float64(n) * squares)
	}
	at := func(q float64) float64 { return min(float64(h.Quantile(q))/1e6, 1) }
	return RefusalSpread{
		Participants: int(n), Hit: int(hit),
		Least: at(0), P50: at(0.5), P90: at(0.9), Most: at(1), Jain: round(jain, 6),
	}
}

// missRate is the share of expected deliveries that missed D.
func (c *Counts) missRate() float64 { return share(c.DeliveriesMissed, c.DeliveriesExpected) }

// MissRate is the share of the expected deliveries that missed D.
func (s *Second) MissRate() float64 { return s.missRate() }

// Add sums two counts.
func (c *Counts) Add(d Counts) {
	c.Offered += d.Offered
	c.Admitted += d.Admitted
	c.Achieved += d.Achieved
	c.Goodput += d.Goodput
	c.Refused += d.Refused
	c.Unanswered += d.Unanswered
	c.ActionsMissed += d.ActionsMissed
	c.ActionsMissed30MS += d.ActionsMissed30MS
	c.DeliveriesExpected += d.DeliveriesExpected
	c.DeliveriesReceived += d.DeliveriesReceived
	c.DeliveriesConflated += d.DeliveriesConflated
	c.DeliveriesMissed += d.DeliveriesMissed
	c.DeliveriesMissed30MS += d.DeliveriesMissed30MS
	c.DeliveriesUncertain += d.DeliveriesUncertain
}

// Check tells which counts contradict each other; nil if none do.
func (c *Counts) Check() error {
	atMost := func(a int64, nameA string, b int64, nameB string) error {
		if a < 0 {
			return fmt.Errorf("%s is %d, less than 0", nameA, a)
		}
		if a > b {
			return fmt.Errorf("%s (%d) is more than %s (%d)", nameA, a, nameB, b)
		}
		return nil
	}
	if sum := c.Achieved + c.Refused + c.Unanswered; sum != c.Offered {
		return fmt.Errorf("achieved + refused + unanswered is %d, offered is %d", sum, c.Offered)
	}
	for _, err := range []error{
		atMost(c.Achieved, "achieved", c.Admitted, "admitted"),
		atMost(c.Admitted, "admitted", c.Offered, "offered"),
		atMost(c.Goodput, "goodput", c.Achieved, "achieved"),
		atMost(c.Refused, "refused", c.Offered, "offered"),
		atMost(c.Unanswered, "unanswered", c.Offered, "offered"),
		atMost(c.ActionsMissed, "actions_missed", c.Offered, "offered"),
		atMost(c.ActionsMissed30MS, "actions_missed_30ms", c.Offered, "offered"),
		atMost(c.DeliveriesReceived, "deliveries_received", c.DeliveriesExpected, "deliveries_expected"),
		atMost(c.DeliveriesConflated, "deliveries_conflated", c.DeliveriesReceived, "deliveries_received"),
		atMost(c.DeliveriesMissed, "deliveries_missed", c.DeliveriesExpected, "deliveries_expected"),
		atMost(c.DeliveriesMissed30MS, "deliveries_missed_30ms", c.DeliveriesExpected, "deliveries_expected"),
		atMost(c.DeliveriesExpected-c.DeliveriesReceived, "missing deliveries", c.DeliveriesMissed, "deliveries_missed"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func share(part, whole int64) float64 { return per(float64(part), whole) }

func per(sum float64, n int64) float64 {
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// round keeps so many decimals.
func round(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}
