package trigger

import "github.com/prometheus/client_golang/prometheus"

// Collector exports a trigger's Stats to Prometheus; the functions' accounts are
// exported by package invoke/metrics.
type Collector struct {
	trigger *Trigger

	records, batches, selected, samples, swaps, chain, late, update, failures *prometheus.Desc
	version, quality, chance                                                  *prometheus.Desc
}

// NewCollector makes a collector to be registered on a prometheus.Registerer.
func NewCollector(t *Trigger) *Collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("starling_trigger_"+name, help, labels, nil)
	}
	return &Collector{
		trigger:  t,
		records:  describe("records_total", "Records, by what became of them: decided, late (of those), malformed (of those), lost or failed.", "outcome"),
		batches:  describe("batches_total", "Batches decided."),
		selected: describe("selected_total", "Records selected, and of those lost because the chain was behind.", "outcome"),
		samples:  describe("samples_total", "Records sampled for updateModel, and what became of them.", "outcome"),
		swaps:    describe("swaps_total", "How often a poller went over to another model."),
		chain:    describe("chain_events_total", "Events in the chain, by stage and outcome.", "stage", "outcome"),
		late:     describe("chain_late_total", "Events that went through the chain after its deadline."),
		update:   describe("update_total", "What updateModel and retrain did: windows tested, drifts found, retrainings by outcome.", "what"),
		failures: describe("failures_total", "Failures of functions that were told."),
		version:  describe("model_version", "Version of the current model."),
		quality:  describe("retrained_auc", "Area under the curve of the latest retrained model, and of the one before it.", "model"),
		chance:   describe("drift_chance", "Chance that the latest window differs as much without drift."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.records, c.batches, c.selected, c.samples, c.swaps, c.chain, c.late, c.update, c.failures, c.version, c.quality, c.chance,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.trigger.Stats()
	i, u := s.Inference, &s.Update
	count(c.records, i.Decided, "decided")
	count(c.records, i.Late, "late")
	count(c.records, i.Malformed, "malformed")
	count(c.records, i.Lost, "lost")
	count(c.records, i.Failed, "failed")
	count(c.batches, i.Batches)
	count(c.selected, i.Selected, "selected")
	count(c.selected, i.SelectedLost+i.SelectedRefused, "lost")
	count(c.samples, i.Sampled, "sampled")
	count(c.samples, i.SamplesLost, "lost")
	count(c.samples, i.SamplesRefused, "refused")
	count(c.samples, u.Failed, "failed")
	count(c.samples, u.Hung, "hung")
	count(c.samples, u.Suspended, "suspended")
	count(c.swaps, i.Swaps)
	for _, st := range s.Chain {
		count(c.chain, st.Completed, st.Name, "completed")
		count(c.chain, st.Rejected, st.Name, "rejected")
		count(c.chain, st.Failed, st.Name, "failed")
		count(c.chain, st.Hung, st.Name, "hung")
		count(c.chain, st.Refused, st.Name, "refused")
		count(c.chain, st.TooLate, st.Name, "too_late")
	}
	count(c.late, s.ChainLate)
	count(c.update, u.Windows, "windows")
	count(c.update, u.Drifts, "drifts")
	count(c.update, u.Swapped, "swapped")
	count(c.update, u.Refused, "refused")
	count(c.failures, s.Failures)
	gauge(c.version, float64(u.Version))
	gauge(c.quality, u.LastQuality, "retrained")
	gauge(c.quality, u.QualityBefore, "before")
	gauge(c.chance, u.LastDrift.Chance)
}
