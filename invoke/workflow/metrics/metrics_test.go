package metrics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/invoke/workflow/metrics"
)

type page struct{}

func TestMetricsOfWorkflows(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 1})
	e := workflow.New[page](s, workflow.Options{})
	err := e.Register(
		workflow.Function[page]{Name: "parse", Run: func(*workflow.Run[page]) error { return nil }},
		workflow.Function[page]{Name: "tags", Run: func(*workflow.Run[page]) error { return errors.New("no model") }},
	)
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.Deploy(workflow.Graph[page]{Name: "w", Deadline: time.Minute, Steps: []workflow.Step[page]{{Function: "parse"}, {Function: "tags", Shed: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Execute(&workflow.Run[page]{Document: &page{}, Done: func(*workflow.Run[page]) {}}); err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(metrics.New(e))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"starling_workflow_failures_total failed tags w": 1,
		"starling_workflow_failures_total hung tags w":   0,
		"starling_workflow_documents_total completed w":  1,
		"starling_workflow_shed_total tags w":            0,
		"starling_workflow_share_seconds parse w":        60,
		"starling_workflow_refusals_total too_late w":    0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v\n%v", name, v, ok, want, got)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
