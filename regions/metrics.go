package regions

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/regions/peer"
)

type nodeMetrics struct {
	directory  *directory.Metrics
	peer       *peer.Metrics
	unroutable prometheus.Counter
	moves      prometheus.Counter
}

func newNodeMetrics(r prometheus.Registerer) (*nodeMetrics, error) {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	m := &nodeMetrics{
		unroutable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_router_unroutable_total", Help: "Messages of the gateway that no owner could be reached for; they were refused for now."}),
		moves: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_shard_moves_total", Help: "Shards that this process handed over to another owner."}),
	}
	var err error
	if m.directory, err = directory.NewMetrics(r); err != nil {
		return nil, err
	}
	if m.peer, err = peer.NewMetrics(r); err != nil {
		return nil, err
	}
	for _, c := range []prometheus.Collector{m.unroutable, m.moves} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
