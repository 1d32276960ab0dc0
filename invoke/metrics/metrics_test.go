package metrics_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/metrics"
)

func TestAccountsAreExported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 1})
		keys := s.Keys("shards", invoke.KeyOptions{AfterRun: func(*invoke.Key) {}})
		fn, err := s.Deploy(invoke.Spec{
			Name: "move", Keys: keys,
			Contract: invoke.Contract{Rate: 10, Deadline: time.Second, RunTime: 30 * time.Microsecond, Memory: 1e9},
			Run:      func(*invoke.Invocation) { <-time.After(30 * time.Microsecond) },
			Refused:  func(*invoke.Invocation, *invoke.Refusal) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		key := keys.Open(1)
		for range 3 {
			if err := fn.Submit(&invoke.Invocation{Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		if fn.Submit(&invoke.Invocation{}) == nil {
			t.Fatal("taken without a key")
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewPedanticRegistry()
		if err := registry.Register(metrics.New(s)); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				v := m.GetCounter().GetValue() + m.GetGauge().GetValue()
				for _, b := range m.GetHistogram().GetBucket() {
					if b.GetUpperBound() == 50e-6 {
						v = float64(b.GetCumulativeCount())
					}
				}
				found[family.GetName()] += v
			}
		}
		for name, want := range map[string]float64{
			"submitted_total": 4, "invocations_total": 3, "refusals_total": 1, "guaranteed_total": 3,
			"misses_total": 0, "failures_total": 0, "waiting": 0, "run_seconds": 3, "contract_rate": 10,
			"contract_deadline_seconds": 1, "used_gigabyte_seconds_total": 90e-6, "reserved_gigabyte_seconds_total": 90e-6,
		} {
			if got, ok := found["starling_function_"+name]; !ok || math.Abs(got-want) > 1e-12 {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if found["starling_invoke_overcommitted"] != 0 {
			t.Error("overcommitted")
		}
		if runs := found["starling_invoke_key_runs_total"]; runs < 1 || runs > 3 { // the worker may begin before all wait
			t.Errorf("%v runs of the key", runs)
		}
	})
}
