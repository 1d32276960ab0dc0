// Package metrics exports a scheduler's accounts to Prometheus.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/starling-vr/starling/invoke"
)

// Collector reads a scheduler's accounts at each scrape: starling_function_... of
// each function, whatever its shape, and starling_invoke_... of the scheduler.
type Collector struct {
	scheduler *invoke.Scheduler
	counters  []perFunction[uint64]
	gauges    []perFunction[float64]
	sums      []perFunction[float64]

	refusals, queueTime, runTime       *prometheus.Desc
	classUsed, classMemory, classCores *prometheus.Desc
	keyRuns, afterRun, overcommitted   *prometheus.Desc
}

// perFunction is a metric that each account has.
type perFunction[T any] struct {
	desc  *prometheus.Desc
	value func(*invoke.Account) T
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("starling_"+name, help, labels, nil)
}

func ofFunction(name, help string, more ...string) *prometheus.Desc {
	return describe("function_"+name, help, append([]string{"function", "shape", "class"}, more...)...)
}

// New makes a collector to be registered on a prometheus.Registerer.
func New(s *invoke.Scheduler) *Collector {
	type account = invoke.Account
	return &Collector{
		scheduler: s,
		counters: []perFunction[uint64]{
			{ofFunction("submitted_total", "Invocations submitted."), func(a *account) uint64 { return a.Submitted }},
			{ofFunction("guaranteed_total", "Invocations taken within the guarantee."), func(a *account) uint64 { return a.Guaranteed }},
			{ofFunction("invocations_total", "Invocations run to their end."), func(a *account) uint64 { return a.Invocations }},
			{ofFunction("failures_total", "Invocations that ended in an error or a panic, where the shape tells."), func(a *account) uint64 { return a.Failures }},
			{ofFunction("misses_total", "Invocations that ran and ended after their deadline."), func(a *account) uint64 { return a.Misses }},
			{ofFunction("guaranteed_misses_total", "Invocations within the guarantee that ended late or were refused for lateness."),
				func(a *account) uint64 { return a.GuaranteedMisses }},
		},
		gauges: []perFunction[float64]{
			{ofFunction("waiting", "Invocations that wait."), func(a *account) float64 { return float64(a.Waiting) }},
			{ofFunction("running", "Invocations under way."), func(a *account) float64 { return float64(a.Running) }},
			{ofFunction("learned_run_seconds", "Recent 99th percentile of the run time."), func(a *account) float64 { return a.LearnedRunTime.Seconds() }},
			{ofFunction("contract_rate", "Invocations per second that the contract guarantees; 0: best effort."), func(a *account) float64 { return a.Contract.Rate }},
			{ofFunction("contract_deadline_seconds", "Deadline of the contract, from arrival; 0: none."), func(a *account) float64 { return a.Contract.Deadline.Seconds() }},
			{ofFunction("contract_miss_target_ratio", "Share of guaranteed invocations that the contract lets miss."), func(a *account) float64 { return a.Contract.MissTarget }},
		},
		sums: []perFunction[float64]{
			{ofFunction("busy_seconds_total", "Time that runs took."), func(a *account) float64 { return a.Busy.Seconds() }},
			{ofFunction("used_gigabyte_seconds_total", "Used: memory of each invocation x its run time."), func(a *account) float64 { return a.Used }},
			{ofFunction("reserved_gigabyte_seconds_total", "R: reserved memory x wall time."), func(a *account) float64 { return a.ReservedMemory }},
			{ofFunction("reserved_core_seconds_total", "R: reserved cores x wall time."), func(a *account) float64 { return a.ReservedCores }},
		},
		refusals:      ofFunction("refusals_total", "Invocations refused, by reason.", "reason"),
		queueTime:     ofFunction("queue_seconds", "Time from submission to start."),
		runTime:       ofFunction("run_seconds", "Run time; that of its batch for a batched function."),
		classUsed:     describe("invoke_used_gigabyte_seconds_total", "Memory x run time, of all functions that there were.", "class"),
		classMemory:   describe("invoke_reserved_gigabyte_seconds_total", "Reserved memory x wall time, of all functions that there were.", "class"),
		classCores:    describe("invoke_reserved_core_seconds_total", "Reserved cores x wall time, of all functions that there were.", "class"),
		keyRuns:       describe("invoke_key_runs_total", "How often a worker entered a key.", "keys"),
		afterRun:      describe("invoke_key_after_run_seconds_total", "Time spent in AfterRun.", "keys"),
		overcommitted: describe("invoke_overcommitted", "Admission tests that fail with the run times learned since."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.counters {
		out <- m.desc
	}
	for _, m := range append(c.gauges[:len(c.gauges):len(c.gauges)], c.sums...) {
		out <- m.desc
	}
	for _, d := range []*prometheus.Desc{
		c.refusals, c.queueTime, c.runTime, c.classUsed, c.classMemory, c.classCores, c.keyRuns, c.afterRun, c.overcommitted,
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
		c.collectFunction(out, &accounts.Functions[i])
	}
	for i := range accounts.Classes {
		a := &accounts.Classes[i]
		value(c.classUsed, prometheus.CounterValue, a.Used, a.Class.String())
		value(c.classMemory, prometheus.CounterValue, a.ReservedMemory, a.Class.String())
		value(c.classCores, prometheus.CounterValue, a.ReservedCores, a.Class.String())
	}
	for _, k := range accounts.Keys {
		value(c.keyRuns, prometheus.CounterValue, float64(k.Runs), k.Name)
		value(c.afterRun, prometheus.CounterValue, k.AfterRun.Seconds(), k.Name)
	}
	value(c.overcommitted, prometheus.GaugeValue, float64(len(c.scheduler.Overcommitted())))
}

func (c *Collector) collectFunction(out chan<- prometheus.Metric, a *invoke.Account) {
	labels := []string{a.Name, a.Shape.String(), a.Class.String()}
	value := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for _, m := range c.counters {
		value(m.desc, prometheus.CounterValue, float64(m.value(a)), labels...)
	}
	for _, m := range c.gauges {
		value(m.desc, prometheus.GaugeValue, m.value(a), labels...)
	}
	for _, m := range c.sums {
		value(m.desc, prometheus.CounterValue, m.value(a), labels...)
	}
	for _, reason := range invoke.Reasons() {
		value(c.refusals, prometheus.CounterValue, float64(a.Refusals[reason]), append(labels[:3:3], reason.String())...)
	}
	out <- histogram(c.queueTime, a.QueueTime, labels...)
	out <- histogram(c.runTime, a.RunTime, labels...)
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
