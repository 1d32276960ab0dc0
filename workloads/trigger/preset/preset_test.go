package preset

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// What the documentation says of the presets holds for events that they never saw.
func TestPresetsTellEventsApart(t *testing.T) {
	for name, want := range map[string]struct {
		operations    int
		auc, accuracy float64
	}{
		"jet":        {8512, 0.985, 0.86},
		"image":      {16384, 0.99, 0.92},
		"image-deep": {132224, 0.99, 0.94},
	} {
		n, recipe, err := Network(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Shape.Operations(); got != want.operations {
			t.Errorf("%s: %d operations", name, got)
		}
		samples := training.Simulate(recipe.Detector(detector.Conditions{}), 1500, 0.5, rand.New(rand.NewPCG(77, 7)))
		q := training.Evaluate(n, samples)
		t.Logf("%s: AUC %.4f, accuracy %.3f, selected background %.4f", name, q.AUC, q.Accuracy, q.Selected)
		if q.AUC < want.auc || q.Accuracy < want.accuracy {
			t.Errorf("%s: AUC %.4f, accuracy %.3f", name, q.AUC, q.Accuracy)
		}
		if q.Selected > 0.06 {
			t.Errorf("%s selects %.3f of the background, meant are %.3f", name, q.Selected, recipe.Select)
		}
	}
}

func TestAnUnknownPreset(t *testing.T) {
	var unknown *training.RecipeError
	if _, _, err := Network("muon"); !errors.As(err, &unknown) {
		t.Error(err)
	}
}
