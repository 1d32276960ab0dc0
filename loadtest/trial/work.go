package trial

import (
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
)

// workArguments are the arguments of the work function for F(L) of a scenario.
func workArguments(s *scenario.Scenario) []byte {
	return nil
}

func workSettings(s *scenario.Scenario) []string { return nil }

var _ time.Duration
