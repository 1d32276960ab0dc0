package gateway

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	accepted         prometheus.Counter
	handshakesFailed prometheus.Counter
	messages         prometheus.Counter
	resent           prometheus.Counter
	sessions         *prometheus.CounterVec
	refusals         *prometheus.CounterVec
	closes           *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, g *Gateway) (*metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "starling", Subsystem: "gateway", Name: name, Help: help}
	}
	m := &metrics{
		accepted:         prometheus.NewCounter(opts("connections_accepted_total", "Websockets accepted.")),
		handshakesFailed: prometheus.NewCounter(opts("handshakes_failed_total", "Websocket handshakes that failed.")),
		messages:         prometheus.NewCounter(opts("messages_received_total", "Messages read from clients.")),
		resent:           prometheus.NewCounter(opts("actions_resent_total", "Actions sent to an owner again.")),
		sessions:         prometheus.NewCounterVec(opts("sessions_total", "Sessions opened and resumed."), []string{"how"}),
		refusals:         prometheus.NewCounterVec(opts("refusals_total", "Outcomes other than applied, by code."), []string{"code"}),
		closes:           prometheus.NewCounterVec(opts("closes_total", "Connections closed, by close code; client and broken are the other side's doing."), []string{"code"}),
	}
	if r == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "starling", Subsystem: "gateway", Name: name, Help: help},
			func() float64 { return float64(value()) })
	}
	share := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "starling", Subsystem: "gateway", Name: "overload_share_actions_per_second",
		Help: "Actions per second that each participant may send while the gateway refuses overload; +Inf: it does not."}, func() float64 { return g.overload.Share() })
	wakeUps := prometheus.NewCounterFunc(opts("poll_wakeups_total", "Times that pollers found websockets to read or to write; with reader epoll."),
		func() float64 { return float64(g.upgrader.WakeUps()) })
	for _, c := range []prometheus.Collector{wakeUps, share, m.accepted, m.handshakesFailed, m.messages, m.resent, m.sessions, m.refusals, m.closes,
		gauge("connections", "Websockets open now.", g.Connections),
		gauge("sessions", "Sessions attached now.", g.Sessions)} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
