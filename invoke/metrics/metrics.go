// Package metrics exports a scheduler's accounts to Prometheus.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/starling-vr/starling/invoke"
)

// Collector reads a scheduler's accounts at each scrape.
type Collector struct {
	scheduler *invoke.Scheduler

	submitted, guaranteed, invocations, refusals, misses, guaranteedMisses *prometheus.Desc
	waiting, running, queueTime, runTime, learned                          *prometheus.Desc
	used, reservedMemory, reservedCores                                    *prometheus.Desc
	keyRuns, afterRun, overcommitted                                       *prometheus.Desc
}

// New makes a collector to be registered on a prometheus.Registerer.
func New(s *invoke.Scheduler) *Collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("starling_invoke_"+name, help, labels, nil)
	}
	perFunction := func(name, help string, more ...string) *prometheus.Desc {
		return describe(name, help, append([]string{"function", "class"}, more...)...)
	}
	return &Collector{
		scheduler:        s,
		submitted:        perFunction("submitted_total", "Invocations submitted."),
		guaranteed:       perFunction("guaranteed_total", "Invocations taken within the guarantee."),
		invocations:      perFunction("invocations_total", "Invocations run to their end."),
		refusals:         perFunction("refusals_total", "Invocations refused, by reason.", "reason"),
		misses:           perFunction("misses_total", "Invocations that ran and ended after their deadline."),
		guaranteedMisses: perFunction("guaranteed_misses_total", "Invocations within the guarantee that ended late or were refused for lateness."),
		waiting:          perFunction("waiting", "Invocations that wait."),
		running:          perFunction("running", "Invocations taken by a worker."),
		queueTime:        perFunction("queue_seconds", "Time from submission to start."),
		runTime:          perFunction("run_seconds", "Run time; its sum is the busy time."),
		learned:          perFunction("learned_run_seconds", "Recent 99th percentile of the run time."),
		used:             describe("used_gigabyte_seconds_total", "Memory x run time.", "class"),
		reservedMemory:   describe("reserved_gigabyte_seconds_total", "Reserved memory x wall time.", "class"),
		reservedCores:    describe("reserved_core_seconds_total", "Reserved cores x wall time.", "class"),
		keyRuns:          describe("key_runs_total", "How often a worker entered a key.", "keys"),
		afterRun:         describe("key_after_run_seconds_total", "Time spent in AfterRun.", "keys"),
		overcommitted:    describe("overcommitted", "Admission tests that fail with the run times learned since."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.submitted, c.guaranteed, c.invocations, c.refusals, c.misses, c.guaranteedMisses,
		c.waiting, c.running, c.queueTime, c.runTime, c.learned,
		c.used, c.reservedMemory, c.reservedCores, c.keyRuns, c.afterRun, c.overcommitted,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	value := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	accounts := c.scheduler.Accounts()
	for i := range accounts.Functions {
		a := &accounts.Functions[i]
		name, class := a.Name, a.Class.String()
		for d, v := range map[*prometheus.Desc]uint64{
			c.submitted: a.Submitted, c.guaranteed: a.Guaranteed, c.invocations: a.Invocations,
			c.misses: a.Misses, c.guaranteedMisses: a.GuaranteedMisses,
		} {
			value(d, prometheus.CounterValue, float64(v), name, class)
		}
		for _, reason := range invoke.Reasons() {
			value(c.refusals, prometheus.CounterValue, float64(a.Refusals[reason]), name, class, reason.String())
		}
		value(c.waiting, prometheus.GaugeValue, float64(a.Waiting), name, class)
		value(c.running, prometheus.GaugeValue, float64(a.Running), name, class)
		value(c.learned, prometheus.GaugeValue, a.LearnedRunTime.Seconds(), name, class)
		out <- histogram(c.queueTime, a.QueueTime, name, class)
		out <- histogram(c.runTime, a.RunTime, name, class)
	}
	for i := range accounts.Classes {
		a := &accounts.Classes[i]
		value(c.used, prometheus.CounterValue, a.Used, a.Class.String())
		value(c.reservedMemory, prometheus.CounterValue, a.ReservedMemory, a.Class.String())
		value(c.reservedCores, prometheus.CounterValue, a.ReservedCores, a.Class.String())
	}
	for _, k := range accounts.Keys {
		value(c.keyRuns, prometheus.CounterValue, float64(k.Runs), k.Name)
		value(c.afterRun, prometheus.CounterValue, k.AfterRun.Seconds(), k.Name)
	}
	value(c.overcommitted, prometheus.GaugeValue, float64(len(c.scheduler.Overcommitted())))
}

// bounds are the buckets exported, from 1 us to 10 s.
var bounds = func() (all []time.Duration) {
	for decade := time.Microsecond; decade <= time.Second; decade *= 10 {
		all = append(all, decade, 2*decade, 5*decade)
	}
	return append(all, 10*time.Second)
}()

// histogram sums the fine buckets up to each bound. A fine bucket that straddles a
// bound counts as above it.
func histogram(d *prometheus.Desc, h *invoke.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(bounds))
	var below uint64
	next := 0
	for upper, n := range h.Buckets() {
		for ; next < len(bounds) && bounds[next] < upper; next++ {
			buckets[bounds[next].Seconds()] = below
		}
		below += n
	}
	for ; next < len(bounds); next++ {
		buckets[bounds[next].Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(d, h.Count(), h.Sum().Seconds(), buckets, labels...)
}
