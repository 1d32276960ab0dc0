package calibrate_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/calibrate"
	"github.com/starling-vr/starling/loadtest/target"
)

// A real server, briefly: what comes out is costs that make sense.
func TestCalibrationOfARealServer(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "starling")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/starling").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := calibrate.Run(t.Context(), calibrate.Options{
		Target: target.Options{Binary: binary, Store: "memory", Durability: "memory"},
		Loads:  []calibrate.Load{{Scenario: "sparse", Participants: 20, Rate: 5}, {Scenario: "arena", Participants: 40, Rate: 1}},
		Warmup: 200 * time.Millisecond, Duration: 1100 * time.Millisecond, Seed: 1, Progress: func(line string) { t.Log(line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Fit.Runs) != 2 || c.Gateway.WriteUS+c.Gateway.ActionUS <= 0 || c.Owner.RunUS <= 0 || c.Cores < 1 {
		t.Errorf("%+v", c)
	}
	for _, run := range c.Fit.Runs {
		if run.Actions <= 0 || run.Writes <= 0 || run.Commits <= 0 || run.ServerUS <= 0 {
			t.Errorf("%+v", run)
		}
	}
}
