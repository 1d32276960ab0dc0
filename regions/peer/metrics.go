package peer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is what a mesh counts, over all its links.
type Metrics struct {
	up         prometheus.Gauge
	reconnects prometheus.Counter
	lost       prometheus.Counter
	waited     prometheus.Histogram
	frames     *prometheus.CounterVec
	envelopes  *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	refusals   *prometheus.CounterVec

	refused struct{ down, full prometheus.Counter }
	in, out directed
}

type directed struct{ frames, envelopes, bytes prometheus.Counter }

// NewMetrics registers the metrics of one mesh.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	for _, c := range []prometheus.Collector{m.up, m.reconnects, m.lost, m.waited, m.frames, m.envelopes, m.bytes, m.refusals} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newMetrics() *Metrics {
	m := &Metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "starling_peer_links", Help: "Streams to other processes that are open."}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_peer_breaks_total", Help: "Streams that broke or could not be opened."}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_peer_dropped_envelopes_total", Help: "Envelopes that waited when their stream broke. Their senders are told of the break."}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "starling_peer_frame_wait_seconds", Help: "How long the oldest envelope of a frame waited for it to be written.",
			Buckets: []float64{.00002, .00005, .0001, .0002, .0005, .001, .002, .005, .01, .05, .2, 1}}),
		frames: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_peer_frames_total", Help: "Frames, by direction. Heartbeats are not counted."}, []string{"direction"}),
		envelopes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_peer_envelopes_total", Help: "Envelopes, by direction."}, []string{"direction"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_peer_bytes_total", Help: "Encoded bytes of frames, by direction."}, []string{"direction"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_peer_refused_envelopes_total", Help: "Envelopes that were not taken, by reason: no stream (down), or a peer that does not keep up (full)."}, []string{"reason"}),
	}
	m.refused.down, m.refused.full = m.refusals.WithLabelValues("down"), m.refusals.WithLabelValues("full")
	for direction, d := range map[string]*directed{"in": &m.in, "out": &m.out} {
		*d = directed{m.frames.WithLabelValues(direction), m.envelopes.WithLabelValues(direction), m.bytes.WithLabelValues(direction)}
	}
	return m
}

func (m *Metrics) orNone() *Metrics {
	if m == nil {
		return newMetrics()
	}
	return m
}

func (m *Metrics) received(envelopes, bytes int) { m.in.add(envelopes, bytes) }

func (m *Metrics) sent(envelopes, bytes int, waited time.Duration) {
	m.out.add(envelopes, bytes)
	m.waited.Observe(waited.Seconds())
}

func (d *directed) add(envelopes, bytes int) {
	d.frames.Inc()
	d.envelopes.Add(float64(envelopes))
	d.bytes.Add(float64(bytes))
}
