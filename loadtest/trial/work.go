package trial

import (
	"time"

	"github.com/starling-vr/starling/actions/builtin"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// workLimit is the longest run of the work function that a server of our own
// allows.
const workLimit = 10 * time.Millisecond

// workArguments are the arguments of the work function for F(L) of a scenario.
func workArguments(s *scenario.Scenario) []byte {
	return builtin.WorkArguments(time.Duration(s.Work.Base), time.Duration(s.Work.PerNeighbour))
}

// workSettings let a server of our own have the work function, if the scenario
// uses it.
func workSettings(s *scenario.Scenario) []string {
	if s.Mix.Work == 0 {
		return nil
	}
	return []string{"owner.work_limit=" + workLimit.String()}
}
