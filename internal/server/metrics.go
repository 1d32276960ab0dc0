package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/starling-vr/starling/internal/version"
)

// newMetrics makes the registry with what is known of the process as such.
func newMetrics(s *Server) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_build_info", Help: "1, with the version as a label.",
	}, []string{"version"})
	build.WithLabelValues(version.String()).Set(1)
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		flag("ready", "1 while new clients should be sent to this process, else 0.", func() bool { ok, _ := s.readiness(); return ok }),
		flag("degraded", "1 while the store of the region does not answer this process, else 0.", s.degraded.Load),
		flag("bus_healthy", "0 while this gateway does not hear what owners publish, else 1.", func() bool { ok, _ := s.busHealthy(); return ok }),
	)
	return registry
}

func flag(name, help string, holds func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "starling", Subsystem: "server", Name: name, Help: help},
		func() float64 {
			if holds() {
				return 1
			}
			return 0
		})
}
