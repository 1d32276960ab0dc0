package training

import (
	"fmt"
	"math"
	"slices"

	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Quality is how well a network tells events apart, and how far the int8 network and
// the float one agree.
type Quality struct {
	Events int
	// AUC is the area under the curve of signal efficiency against background
	// efficiency, by score: the chance that a signal scores higher than background.
	AUC, FloatAUC float64
	// Accuracy is the share of events whose largest logit is that of their class.
	Accuracy, FloatAccuracy float64
	// Rejection is how much of the background is kept out where half of the signals are
	// selected.
	Rejection, FloatRejection Rejection
	// ClassAgreement is the share of events in which both see the same class.
	ClassAgreement float64
	// DecisionAgreement is the share of events in which both decide the same, with
	// thresholds that select as much of the background.
	DecisionAgreement float64
}

// String tells the figures in one line.
func (q *Quality) String() string {
	return fmt.Sprintf("AUC %.4f (float %.4f), accuracy %.4f (float %.4f), background rejection at half of the signals %v (float %v), same class %.4f, same decision %.4f, %d events",
		q.AUC, q.FloatAUC, q.Accuracy, q.FloatAccuracy, q.Rejection, q.FloatRejection, q.ClassAgreement, q.DecisionAgreement, q.Events)
}

// scored is an event's score by one network.
type scored struct {
	score  float64
	signal bool
}

// Measure compares the int8 network with the model that it was made from, by samples
// that neither was trained with. Decisions are compared where as much background is
// selected as by n's threshold.
func Measure(n *network.Network, m *Model, samples []Sample) Quality {
	q := Quality{Events: len(samples)}
	ints, floats := make([]scored, len(samples)), make([]scored, len(samples))
	share := 1 / float64(max(len(samples), 1))
	for i, s := range samples {
		logits, exact := n.Logits(s.Record), m.Logits(s.Record)
		class, exactClass := network.Class(logits), classOf(exact)
		ints[i] = scored{float64(network.Score(logits)), s.Class > 0}
		floats[i] = scored{scoreOf(exact), s.Class > 0}
		q.Accuracy += equal(class, s.Class) * share
		q.FloatAccuracy += equal(exactClass, s.Class) * share
		q.ClassAgreement += equal(class, exactClass) * share
	}
	above := float64(n.Threshold)
	like := quantile(floats, false, 1-selectedShare(ints, false, above))
	for i := range ints {
		if (ints[i].score > above) == (floats[i].score > like) {
			q.DecisionAgreement += share
		}
	}
	q.AUC, q.FloatAUC = auc(ints), auc(floats)
	q.Rejection, q.FloatRejection = rejection(ints), rejection(floats)
	return q
}

func equal(a, b int) float64 {
	if a == b {
		return 1
	}
	return 0
}

func classOf(y []float32) int {
	best := 0
	for c := range y {
		if y[c] > y[best] {
			best = c
		}
	}
	return best
}

func scoreOf(y []float32) float64 { return float64(slices.Max(y[1:]) - y[0]) }

// auc counts by ranks (Mann, Whitney); equal scores count half.
func auc(all []scored) float64 {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b scored) int { return compare(a.score, b.score) })
	ranks, signals := 0.0, 0
	for i := 0; i < len(sorted); {
		j, here := i, 0
		for ; j < len(sorted) && sorted[j].score == sorted[i].score; j++ {
			if sorted[j].signal {
				here++
			}
		}
		ranks += float64(here) * float64(i+j+1) / 2
		signals += here
		i = j
	}
	background := len(sorted) - signals
	if signals == 0 || background == 0 {
		return math.NaN()
	}
	return (ranks - float64(signals)*float64(signals+1)/2) / float64(signals) / float64(background)
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// quantile is the score below which the share q of the signals, or of the background,
// lies.
func quantile(all []scored, signal bool, q float64) float64 {
	var scores []float64
	for _, s := range all {
		if s.signal == signal {
			scores = append(scores, s.score)
		}
	}
	if len(scores) == 0 {
		return 0
	}
	slices.Sort(scores)
	return scores[min(max(int(math.Ceil(q*float64(len(scores))))-1, 0), len(scores)-1)]
}

func selectedShare(all []scored, signal bool, above float64) float64 {
	selected, count := countSelected(all, signal, above)
	return float64(selected) / float64(max(count, 1))
}

func countSelected(all []scored, signal bool, above float64) (selected, count int) {
	for _, s := range all {
		if s.signal == signal {
			count++
			if s.score > above {
				selected++
			}
		}
	}
	return selected, count
}

// Rejection is the background that was let through with a threshold that half of the
// signals pass.
type Rejection struct{ Passed, Background int }

func rejection(all []scored) Rejection {
	passed, background := countSelected(all, false, quantile(all, true, 0.5))
	return Rejection{passed, background}
}

// unlikely is the chance with which none passes though as many would as String bounds.
const unlikely = 0.05

// String tells background events for each that passed. Where none did there were too few to
// tell: it says above what the rejection is, with 95 % confidence (Clopper, Pearson 1934,
// for none of n).
func (r Rejection) String() string {
	switch {
	case r.Background == 0:
		return "unknown (no background)"
	case r.Passed == 0:
		least := 1 / (1 - math.Pow(unlikely, 1/float64(r.Background)))
		return fmt.Sprintf("above %.0f (none of %d passed: too few to tell more)", least, r.Background)
	}
	return fmt.Sprintf("%.0f (%d of %d passed)", float64(r.Background)/float64(r.Passed), r.Passed, r.Background)
}

// Threshold gives the threshold with which the share of the background among samples
// is selected.
func Threshold(n *network.Network, samples []Sample, share float64) int32 {
	return int32(quantile(scoresOf(n, samples), false, 1-share))
}

// AUC is the area under the curve of a network alone.
func AUC(n *network.Network, samples []Sample) float64 { return auc(scoresOf(n, samples)) }

// SelectedShare is the share of the background among samples that n selects.
func SelectedShare(n *network.Network, samples []Sample) float64 {
	return selectedShare(scoresOf(n, samples), false, float64(n.Threshold))
}

func scoresOf(n *network.Network, samples []Sample) []scored {
	scores := make([]scored, len(samples))
	for i, s := range samples {
		scores[i] = scored{float64(network.Score(n.Logits(s.Record))), s.Class > 0}
	}
	return scores
}

// Evaluation is how well a network does alone.
type Evaluation struct {
	Events        int
	AUC, Accuracy float64
	Rejection     Rejection
	// Selected is the share of the background above the network's threshold,
	// Efficiency that of the signals.
	Selected, Efficiency float64
}

// String tells the figures in one line.
func (e *Evaluation) String() string {
	return fmt.Sprintf("AUC %.4f, accuracy %.4f, background rejection at half of the signals %v; selected: %.4f of the background, %.4f of the signals; %d events",
		e.AUC, e.Accuracy, e.Rejection, e.Selected, e.Efficiency, e.Events)
}

// Evaluate judges a network by samples.
func Evaluate(n *network.Network, samples []Sample) Evaluation {
	scores := scoresOf(n, samples)
	e := Evaluation{
		Events: len(samples), AUC: auc(scores), Rejection: rejection(scores),
		Selected:   selectedShare(scores, false, float64(n.Threshold)),
		Efficiency: selectedShare(scores, true, float64(n.Threshold)),
	}
	for _, s := range samples {
		e.Accuracy += equal(network.Class(n.Logits(s.Record)), s.Class) / float64(len(samples))
	}
	return e
}
