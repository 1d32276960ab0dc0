package hub

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the hubs.
type Metrics struct {
	FramesEncoded    prometheus.Counter
	BaselinesEncoded prometheus.Counter
	Frames           prometheus.Counter
	Private          prometheus.Counter
	Writes           prometheus.Counter
	WriteCalls       prometheus.Counter
	Bytes            prometheus.Counter
	SlowReaders      prometheus.Counter
	SlowClosed       prometheus.Counter
	CellReads        prometheus.Counter
	PartialsEncoded  prometheus.Counter
	NearDeliveries   prometheus.Counter
	Thinned          prometheus.Counter
	OverBudget       prometheus.Gauge
	Viewers          prometheus.Gauge
	Latency          *Latency
}

// NewMetrics makes the metrics and registers them, if r is not nil. deadline is
// D.
func NewMetrics(r prometheus.Registerer, deadline time.Duration) (*Metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "starling", Subsystem: "gateway", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "starling", Subsystem: "gateway", Name: name, Help: help})
	}
	m := &Metrics{
		FramesEncoded:    counter("frames_encoded_total", "Cell frames encoded, each once for all who watch the cell."),
		BaselinesEncoded: counter("baselines_encoded_total", "Baselines of cells encoded."),
		Frames:           counter("frames_sent_total", "Cell frames handed to sockets."),
		Private:          counter("private_messages_sent_total", "Outcomes and other private messages handed to sockets."),
		Writes:           counter("flushes_total", "Flushes: writes to a connection."),
		WriteCalls:       counter("write_calls_total", "System calls of the flushes: one for many with gateway.writer io_uring, else one for each."),
		Bytes:            counter("sent_bytes_total", "Bytes of websocket frames handed to sockets."),
		SlowReaders:      counter("full_sockets_total", "Times that a socket took no more and states began to conflate."),
		SlowClosed:       counter("slow_readers_closed_total", "Connections closed as SLOW_READER."),
		CellReads:        counter("cell_reads_total", "Baselines asked of owners."),
		PartialsEncoded:  counter("partial_frames_encoded_total", "Partial frames of crowds encoded, each once for all to whom it is near."),
		NearDeliveries:   counter("near_deliveries_total", "Updates and events of crowds handed to sockets at full rate, because they are near."),
		Thinned:          counter("thinned_deliveries_total", "States left out of the thinned frames of crowds: a later one stands for them."),
		OverBudget:       gauge("participants_over_budget", "Participants in whose cells more happens than their delivery budget."),
		Viewers:          gauge("thinned_watches", "Watches of cells that are thinned."),
		Latency:          newLatency(deadline),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.FramesEncoded, m.BaselinesEncoded, m.Frames, m.Private, m.Writes, m.WriteCalls, m.Bytes,
		m.SlowReaders, m.SlowClosed, m.CellReads, m.PartialsEncoded, m.NearDeliveries, m.Thinned, m.OverBudget, m.Viewers, m.Latency} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Latency counts how old updates are when they are handed to a socket, in
// buckets that cost one atomic addition, and those older than the deadline.
type Latency struct {
	deadline  time.Duration
	counts    [len(latencyBounds) + 1]atomic.Uint64
	sum       atomic.Int64
	misses    atomic.Uint64
	old       atomic.Uint64
	histogram *prometheus.Desc
	missed    *prometheus.Desc
}

var latencyBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond,
	5 * time.Millisecond, 7 * time.Millisecond, 10 * time.Millisecond, 12 * time.Millisecond, 15 * time.Millisecond,
	20 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	time.Second, 4 * time.Second,
}

func newLatency(deadline time.Duration) *Latency {
	return &Latency{deadline: deadline,
		histogram: prometheus.NewDesc("starling_gateway_update_age_seconds",
			"Age of updates when handed to a socket: since the action came in at a gateway.", nil, nil),
		missed: prometheus.NewDesc("starling_gateway_updates_late_total",
			"Updates older than the deadline D when handed to a socket.", nil, nil)}
}

func (l *Latency) observe(age time.Duration) {
	i := 0
	for i < len(latencyBounds) && age > latencyBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(age))
	if age > oldAge(l.deadline) {
		l.old.Add(1)
	}
	if age > l.deadline {
		l.misses.Add(1)
	}
}

// Counts gives how many updates were handed to sockets so far, and how many of
// them were old: three quarters of the deadline or more, which no flush waits for.
func (l *Latency) Counts() (all, old uint64) {
	old = l.old.Load() // before the others: never more than all
	for i := range l.counts {
		all += l.counts[i].Load()
	}
	return all, old
}

// Describe implements prometheus.Collector.
func (l *Latency) Describe(out chan<- *prometheus.Desc) {
	out <- l.histogram
	out <- l.missed
}

// Collect implements prometheus.Collector.
func (l *Latency) Collect(out chan<- prometheus.Metric) {
	buckets := make(map[float64]uint64, len(latencyBounds))
	var total uint64
	for i := range l.counts {
		total += l.counts[i].Load()
		if i < len(latencyBounds) {
			buckets[latencyBounds[i].Seconds()] = total
		}
	}
	out <- prometheus.MustNewConstHistogram(l.histogram, total, time.Duration(l.sum.Load()).Seconds(), buckets)
	out <- prometheus.MustNewConstMetric(l.missed, prometheus.CounterValue, float64(l.misses.Load()))
}
