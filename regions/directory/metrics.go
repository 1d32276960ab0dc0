package directory

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is what a membership counts.
type Metrics struct{ metrics }

type metrics struct {
	duration prometheus.Histogram
	late     prometheus.Histogram
	failures prometheus.Counter
	lapses   prometheus.Counter
	deaths   prometheus.Counter
	nodes    *prometheus.GaugeVec
}

// NewMetrics registers the metrics of one membership.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	for _, c := range []prometheus.Collector{m.duration, m.late, m.failures, m.lapses, m.deaths, m.nodes} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newMetrics() *Metrics {
	seconds := []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1}
	return &Metrics{metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "starling_directory_renewal_seconds", Help: "Time that a renewal in the directory took.", Buckets: seconds}),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "starling_directory_renewal_late_seconds", Help: "How long after its scheduled time a renewal began.", Buckets: seconds}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_directory_failures_total", Help: "Renewals that failed."}),
		lapses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_directory_lease_lapses_total", Help: "Times that this process lost its lease and got it back."}),
		deaths: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_directory_deaths_total", Help: "Processes that this one held for dead."}),
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "starling_directory_nodes", Help: "Processes in the directory, by role and state (alive, draining, dead)."}, []string{"role", "state"}),
	}}
}

func (m *Metrics) orNone() *metrics {
	if m == nil {
		m = newMetrics()
	}
	return &m.metrics
}

func (m *metrics) show(nodes []Node) {
	counts := map[[2]string]int{}
	for i := range nodes {
		n := &nodes[i]
		state := "alive"
		switch {
		case !n.Alive:
			state = "dead"
		case n.Draining:
			state = "draining"
		}
		for _, role := range n.Roles {
			counts[[2]string{string(role), state}]++
		}
	}
	for _, role := range Roles() {
		for _, state := range []string{"alive", "draining", "dead"} {
			m.nodes.WithLabelValues(string(role), state).Set(float64(counts[[2]string{string(role), state}]))
		}
	}
}
