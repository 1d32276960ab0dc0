package trigger

import (
	"github.com/starling-vr/starling/invoke/stream"
)

// Stats is what a trigger did since it was deployed.
type Stats struct {
	// Inference is TNN_inference: decisions, latencies, samples.
	Inference *stream.Stats
	// Chain are the stages, in their order. ChainCompleted events went through all of
	// them, ChainLate of those after the chain's deadline. ChainUnderWay are in it.
	Chain                                    []StageStats
	ChainCompleted, ChainLate, ChainUnderWay uint64
	// Update is updateModel.
	Update UpdateStats
	// Failures is how many failures were told.
	Failures uint64
	// Instructions is the set of instructions in use.
	Instructions string
}

// Stats tells what was done so far.
func (t *Trigger) Stats() *Stats {
	s := &Stats{Inference: t.inference.Stats(), ChainLate: t.chainLate.Load(), Failures: t.failures.Load(), Instructions: t.set.String()}
	for _, st := range t.chain {
		s.Chain = append(s.Chain, st.stats())
	}
	s.ChainCompleted = s.Chain[len(s.Chain)-1].Completed
	if ended := s.chainEnded(); s.Inference.Selected > ended {
		s.ChainUnderWay = s.Inference.Selected - ended
	}
	if t.updater != nil {
		s.Update = t.updater.snapshot()
	}
	_, s.Update.Version = t.Model()
	return s
}

// chainEnded counts the selected events of which something is known: the first stage's
// refusals are those of the stream's outlet.
func (s *Stats) chainEnded() uint64 {
	ended := s.Inference.SelectedLost + s.Inference.SelectedRefused + s.ChainCompleted
	for _, st := range s.Chain {
		ended += st.Rejected + st.Failed + st.Refused + st.TooLate
	}
	return ended
}

func (u *updater) snapshot() UpdateStats {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.stats
	s.Hung, s.Suspended, s.Hanging = u.hung.Load(), u.suspended.Load(), int(u.guarded.hanging.Load())
	s.Failed = u.failures()
	s.Gathering, s.Training = u.gathering, u.job != nil
	return s
}
