package redis

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	published   prometheus.Counter
	received    prometheus.Counter
	overflowed  prometheus.Counter
	failed      prometheus.Counter
	interrupted prometheus.Counter
	malformed   prometheus.Counter
	lag         prometheus.Histogram

	lost *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "starling_pubsub_redis_" + name, Help: help})
	}
	m := &metrics{
		published:   counter("published_messages_total", "Messages that Redis took."),
		received:    counter("received_messages_total", "Messages that came from Redis."),
		interrupted: counter("interruptions_total", "Subscribed channels that were lost with a connection, or as their slot moved."),
		malformed:   counter("malformed_messages_total", "Messages that could not be read, or came on the wrong channel."),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "starling_pubsub_redis_probe_seconds",
			Help: "Time from publishing a probe to receiving it.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "starling_pubsub_redis_lost_messages_total",
			Help: "Messages not published; a digest tells receivers to read again."}, []string{"reason"}),
	}
	m.overflowed = m.lost.WithLabelValues("overflow")
	m.failed = m.lost.WithLabelValues("failed")
	if r == nil {
		return m, nil
	}
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			m.unregister(r)
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.published, m.received, m.interrupted, m.malformed, m.lag, m.lost}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.collectors() {
		r.Unregister(c)
	}
}
