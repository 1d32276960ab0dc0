package hub

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func counter(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var out dto.Metric
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue()
}

func TestLatency(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry, 15*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{0, time.Millisecond, 15 * time.Millisecond, 16 * time.Millisecond, time.Minute} {
		m.Latency.observe(age)
	}
	if all, old := m.Latency.Counts(); all != 5 || old != 3 {
		t.Errorf("%d of %d old, want 3 of 5", old, all)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range families {
		switch f.GetName() {
		case "starling_gateway_update_age_seconds":
			found++
			h := f.Metric[0].GetHistogram()
			if h.GetSampleCount() != 5 {
				t.Errorf("histogram of %d", h.GetSampleCount())
			}
		case "starling_gateway_updates_late_total":
			found++
			if n := f.Metric[0].GetCounter().GetValue(); n != 2 {
				t.Errorf("%v late, want 2", n)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 metrics", found)
	}
}

func gauge(t testing.TB, g prometheus.Gauge) float64 {
	t.Helper()
	var out dto.Metric
	if err := g.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetGauge().GetValue()
}
