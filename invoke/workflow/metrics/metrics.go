// Package metrics exports the accounts of workflows to Prometheus. What the functions
// have in common with all others (runs, run times, misses, failures, Used and R) is
// exported by invoke/metrics; this is what workflows have besides.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/invoke/workflow"
)

// Collector reads the accounts at each scrape.
type Collector struct {
	accounts func() []workflow.Account

	documents, refusals, late, split, hung, level, pace *prometheus.Desc
	shed, skipped, failures, overShare, share           *prometheus.Desc
}

// New makes a collector, to be registered on a prometheus.Registerer, of an engine's
// workflows.
func New[D any](engine *workflow.Engine[D]) *Collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("starling_workflow_"+name, help, labels, nil)
	}
	return &Collector{
		accounts: func() []workflow.Account {
			var all []workflow.Account
			for _, w := range engine.Workflows() {
				all = append(all, w.Account())
			}
			return all
		},
		documents: describe("documents_total", "Documents that ended, by result: completed or failed.", "workflow", "result"),
		refusals:  describe("refusals_total", "Documents refused, by reason.", "workflow", "reason"),
		late:      describe("late_total", "Documents taken that ended behind their deadline or lacked a required function.", "workflow"),
		split:     describe("split_total", "Documents that were cut into parts.", "workflow"),
		hung:      describe("hung", "Functions that hang now, each holding a worker that was replaced."),
		level:     describe("shedding_level", "How many ranks of optional functions are shed now.", "workflow"),
		pace:      describe("pace_ratio", "How much longer documents wait than the work before them should take."),
		shed:      describe("shed_total", "Runs of optional functions that were left out to meet deadlines.", "workflow", "function"),
		skipped:   describe("skipped_total", "Runs left out because their condition did not hold.", "workflow", "function"),
		failures:  describe("failures_total", "Runs that failed, by cause.", "workflow", "function", "cause"),
		overShare: describe("over_share_total", "Runs that took longer than their share of the deadline.", "workflow", "function"),
		share:     describe("share_seconds", "Share of the deadline, by learned run times along the critical path.", "workflow", "function"),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.documents, c.refusals, c.late, c.split, c.hung, c.level, c.pace, c.shed, c.skipped, c.failures, c.overShare, c.share,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	accounts := c.accounts()
	for i := range accounts {
		a := &accounts[i]
		count(c.documents, a.Completed, a.Name, "completed")
		count(c.documents, a.Failed, a.Name, "failed")
		for _, reason := range workflow.Reasons() {
			count(c.refusals, a.Refusals[reason], a.Name, reason.String())
		}
		count(c.late, a.Late, a.Name)
		count(c.split, a.Split, a.Name)
		gauge(c.level, float64(a.Level), a.Name)
		for j := range a.Steps {
			s := &a.Steps[j]
			count(c.skipped, s.Skipped, a.Name, s.Function)
			count(c.overShare, s.OverShare, a.Name, s.Function)
			gauge(c.share, s.Share.Seconds(), a.Name, s.Function)
			if s.Optional {
				count(c.shed, s.Shed, a.Name, s.Function)
			}
			for _, cause := range workflow.Causes() {
				count(c.failures, s.Failures[cause], a.Name, s.Function, cause.String())
			}
		}
	}
	if len(accounts) > 0 { // of the engine: each account has the same
		gauge(c.hung, float64(accounts[0].Hung))
		gauge(c.pace, accounts[0].Pace)
	}
}
