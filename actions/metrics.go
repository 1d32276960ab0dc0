package actions

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// metrics of a Host. Without a registerer they are kept and never shown.
type metrics struct {
	outcomes map[starlingv1.Code]prometheus.Counter
	commit   prometheus.Histogram
	bytes    prometheus.Counter
	load     prometheus.Histogram
	release  prometheus.Histogram
	parcels  prometheus.Counter
	failures prometheus.Counter
	unheard  prometheus.Counter
	silenced prometheus.Counter
	fenced   prometheus.Counter
	reclaims prometheus.Counter
	logFails prometheus.Counter
}

func newMetrics(h *Host, registerer prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "starling", Subsystem: "actions", Name: name, Help: help})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "starling", Subsystem: "actions", Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(50e-6, 2, 18),
		})
	}
	m := &metrics{
		outcomes: make(map[starlingv1.Code]prometheus.Counter),
		commit:   seconds("commit_seconds", "Time from sealing a batch to its commit."),
		bytes:    counter("log_bytes_total", "Bytes of batches committed."),
		load:     seconds("shard_load_seconds", "Time from the first message for a shard to serving it."),
		release:  seconds("shard_release_seconds", "Time from stopping to serve a shard to its release."),
		parcels:  counter("parcels_sent_total", "Parcels sent to other shards, those sent again included."),
		failures: counter("function_failures_total", "Functions that panicked."),
		unheard:  counter("unheard_total", "Answers whose gateway is not known any more."),
		silenced: counter("silenced_total", "Answers not given because the lease was not valid."),
		fenced:   counter("shards_fenced_total", "Shards dropped because another owner had claimed them."),
		reclaims: counter("shards_reclaimed_total", "Shards claimed again because the store had lost the end of the log."),
		logFails: counter("log_failures_total", "Calls of the log that failed."),
	}
	codes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "starling", Subsystem: "actions", Name: "outcomes_total", Help: "Outcomes told, by code.",
	}, []string{"code"})
	for code, name := range starlingv1.Code_name {
		m.outcomes[starlingv1.Code(code)] = codes.WithLabelValues(strings.ToLower(name))
	}
	shards := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "starling", Subsystem: "actions", Name: "shards", Help: "Shards served, being loaded or let go.",
	}, func() float64 {
		n := 0
		h.shards.Range(func(any, any) bool { n++; return true })
		return float64(n)
	})
	if registerer != nil {
		registerer.MustRegister(codes, shards, m.commit, m.bytes, m.load, m.release, m.parcels, m.failures, m.unheard, m.silenced, m.fenced, m.reclaims, m.logFails)
	}
	return m
}

func (m *metrics) outcome(code starlingv1.Code) {
	if c := m.outcomes[code]; c != nil {
		c.Inc()
	}
}
