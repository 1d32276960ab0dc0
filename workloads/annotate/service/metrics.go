package service

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// metrics of the door. What each function does is among the metrics of invoke.
type metrics struct {
	documents *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	stores    *prometheus.CounterVec
	others    []prometheus.Collector
}

// flowMetrics are those of a workflow.
type flowMetrics struct {
	done, late, failed prometheus.Counter
	bytes              prometheus.Counter
	seconds            prometheus.Observer
}

func newMetrics(s *Service) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "starling", Subsystem: "annotate", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "starling", Subsystem: "annotate", Name: name, Help: help}, value)
	}
	total := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "starling", Subsystem: "annotate", Name: name, Help: help}, value)
	}
	known := s.pipeline.Knowledge
	return &metrics{
		documents: counter("documents_total", "Documents that came to their end, by outcome: done, late (done, after the deadline), failed (a required function did).", "workflow", "outcome"),
		bytes:     counter("bytes_total", "Bytes of documents that were handed to a workflow.", "workflow"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "starling", Subsystem: "annotate", Name: "seconds", Help: "From a document's arrival to the end of its workflow.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"workflow"}),
		refusals: counter("refusals_total", "Documents, streams and subscriptions that were refused, by the error's code.", "code"),
		stores:   counter("stores_total", "Annotations that were to be kept: queued, or dropped because the queue was full.", "outcome"),
		others: []prometheus.Collector{
			s.pipeline.Collector(),
			gauge("streams", "Streams of documents that are open.", func() float64 { return float64(s.streams.Load()) }),
			gauge("subscribers", "Who listens to annotations as they are made.", func() float64 { return float64(s.subscribers.count()) }),
			total("told_total", "Annotations that were queued for subscribers.", func() float64 { return float64(s.subscribers.told.Load()) }),
			total("missed_total", "Annotations that a subscriber was too slow for.", func() float64 { return float64(s.subscribers.missed.Load()) }),
			gauge("entities", "Entities in the knowledge base.", func() float64 { return float64(known.Counts().Entities) }),
			total("entities_linked_total", "Mentions of entities that were linked.", func() float64 { return float64(known.Counts().Linked) }),
			total("entities_forgotten_total", "Entities that made room for others.", func() float64 { return float64(known.Counts().Evicted) }),
		},
	}
}

func (m *metrics) register(to prometheus.Registerer) error {
	for _, c := range append([]prometheus.Collector{m.documents, m.bytes, m.seconds, m.refusals, m.stores}, m.others...) {
		if err := to.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) of(workflow string) flowMetrics {
	outcome := func(o string) prometheus.Counter { return m.documents.WithLabelValues(workflow, o) }
	return flowMetrics{
		done: outcome("done"), late: outcome("late"), failed: outcome("failed"),
		bytes: m.bytes.WithLabelValues(workflow), seconds: m.seconds.WithLabelValues(workflow),
	}
}

// finished counts a document that was taken.
func (m *metrics) finished(f *flow, run *workflow.Run[pipeline.Job], p *Problem) {
	switch {
	case p == nil && run.Late():
		f.metrics.late.Inc()
	case p == nil:
		f.metrics.done.Inc()
	case p.Function != "":
		f.metrics.failed.Inc()
	default:
		m.turnedAway(p.Code)
		return
	}
	f.metrics.seconds.Observe(run.Ended().Sub(run.Arrived).Seconds())
}

// turnedAway counts what was refused.
func (m *metrics) turnedAway(code string) { m.refusals.WithLabelValues(code).Inc() }

func (m *metrics) kept(ok bool) {
	if ok {
		m.stores.WithLabelValues("queued").Inc()
	} else {
		m.stores.WithLabelValues("dropped").Inc()
	}
}
