package trigger

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// TooFewError says that a class was too rare among the samples to retrain with.
type TooFewError struct{ Class, Got, Of int }

func (e *TooFewError) Error() string {
	return fmt.Sprintf("trigger: retrain: %d of %d samples are of class %d, want %d", e.Got, e.Of, e.Class, fewest)
}

// WorseError says that a retrained model was not put in because it was worse.
type WorseError struct{ Before, After float64 }

func (e *WorseError) Error() string {
	return fmt.Sprintf("trigger: retrain: area under the curve %.4f, %.4f before", e.After, e.Before)
}

// retraining goes through its parts in slices, each an invocation of its own, so that
// no other function waits for all of it: training, a slice of about a millisecond at a
// time, then making the int8 network, and judging it by every fourth sample, which
// was kept back.
type retraining struct {
	updater    *updater
	invocation invoke.Invocation
	submitted  bool // guarded by the updater's lock

	from          *network.Network
	samples, kept []training.Sample // balanced; as they came
	background    []training.Sample // as they came, for the threshold
	random        *rand.Rand
	model         *training.Model
	trainer       *training.Trainer
	next          func() (done bool, err error)
	made          *network.Network
	before, after float64
}

func newRetraining(u *updater, samples []training.Sample, random *rand.Rand) *retraining {
	n, _ := u.trigger.Model()
	r := &retraining{updater: u, from: n, random: random}
	for i, s := range samples {
		if i%4 == 3 {
			r.kept = append(r.kept, s)
		} else {
			r.samples = append(r.samples, s)
		}
	}
	r.background = r.samples
	r.next = r.prepare
	return r
}

// submit hands the next slice to the scheduler. The updater's lock is held.
func (r *retraining) submit() {
	inv := &r.invocation
	inv.Key, inv.Sender, inv.Arrived, inv.Deadline, inv.Payload = nil, 0, 0, 0, r
	r.submitted = true
	if r.updater.retrain.Submit(inv) != nil {
		r.submitted = false // the next sample tries again
	}
}

func (r *retraining) refused() {
	r.updater.mu.Lock()
	r.submitted = false
	r.updater.mu.Unlock()
}

// run does a slice.
func (r *retraining) run() {
	u := r.updater
	done := u.stopped.Load()
	var err error
	if !done {
		err = call(func() (err error) { done, err = r.next(); return err })
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	r.submitted = false
	switch {
	case u.stopped.Load():
		u.job = nil
	case err != nil:
		u.end(r, err)
	case done:
		u.end(r, nil)
	default:
		r.submit()
	}
}

// prepare turns the current model into floats and balances the samples: signals are
// repeated until they are as many as the background, in equal shares.
func (r *retraining) prepare() (bool, error) {
	model, err := training.FromNetwork(r.from, r.samples)
	if err != nil {
		return false, err
	}
	r.model = model
	options := r.updater.settings.Options
	options.Tune = true
	r.trainer = training.NewTrainer(model, training.Balance(r.samples, r.random), options, r.random)
	r.next = r.train
	return false, nil
}

func (r *retraining) train() (bool, error) {
	until := time.Now().Add(r.updater.settings.Slice)
	for r.trainer.Step() {
		if time.Now().After(until) {
			return false, nil
		}
	}
	r.next = r.quantise
	return false, nil
}

func (r *retraining) quantise() (bool, error) {
	n, err := r.model.Quantise(r.samples)
	if err != nil {
		return false, err
	}
	r.made, r.next = n, r.threshold
	return false, nil
}

// threshold lets as much of the background through as is asked for, or as the model
// before does.
func (r *retraining) threshold() (bool, error) {
	share := r.updater.settings.Select
	if share == 0 {
		share = training.SelectedShare(r.from, r.background)
	}
	r.made.Threshold = training.Threshold(r.made, r.background, share)
	r.next = r.judge
	return false, nil
}

func (r *retraining) judge() (bool, error) {
	r.before, r.after = training.AUC(r.from, r.kept), training.AUC(r.made, r.kept)
	if !(r.after >= r.before-r.updater.settings.Tolerance) {
		return false, &WorseError{r.before, r.after}
	}
	r.next = r.swap
	return false, nil
}

func (r *retraining) swap() (bool, error) {
	<-r.updater.ready
	_, err := r.updater.trigger.Swap(r.made)
	return true, err
}
