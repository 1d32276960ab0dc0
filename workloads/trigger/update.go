package trigger

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// updater is updateModel: it counts samples into windows, compares each with the
// reference, and after a drift gathers samples and has the model retrained.
type updater struct {
	trigger                 *Trigger
	settings                *Update
	function                *invoke.Function // updateModel
	retrain                 *invoke.Function
	ready                   chan struct{} // closed once the stream runs
	guarded                 guarded
	failed, hung, suspended atomic.Uint64

	mu        sync.Mutex // guards what follows
	edges     [bins - 1]int32
	reference *histogram
	window    histogram
	scores    []int32 // of the first window, until there are edges
	gathering bool
	gathered  []training.Sample
	job       *retraining
	stats     UpdateStats
	stopped   atomic.Bool
}

// UpdateStats is what updateModel and retrain did.
type UpdateStats struct {
	// Samples came, Labelled of them with their class. Failed ones panicked, had a
	// wrong class, or are Hung: Truth took longer than Settings.Bound for them. Hanging
	// ones of these have not returned yet; Suspended ones were left out meanwhile.
	Samples, Labelled, Failed, Hung, Suspended uint64
	Hanging                                    int
	// Windows were tested, Drifts of them had drifted. LastDrift is the latest test.
	Windows, Drifts uint64
	LastDrift       Drift
	// Retrainings ended: Swapped with a new model, Refused because it was worse or
	// could not be made, which LastRefusal tells.
	Retrainings, Swapped, Refused uint64
	LastRefusal                   error
	// LastQuality is how the latest retrained model did on samples that it was not
	// trained with, QualityBefore how the model before it did on the same.
	LastQuality, QualityBefore float64
	// Version is that of the current model, Gathering and Training say what goes on.
	Version             uint64
	Gathering, Training bool
}

// deployUpdate deploys updateModel and retrain.
func (t *Trigger) deployUpdate(s *invoke.Scheduler) error {
	u := &updater{trigger: t, settings: &t.settings.Update, ready: make(chan struct{})}
	u.refer()
	var err error
	u.function, err = s.Deploy(stream.Receive(invoke.Spec{Name: UpdateName, Alone: true, Contract: t.updateContract(), Failures: u.failures}, u.receive))
	if err != nil {
		return err
	}
	t.deployed = append(t.deployed, u.function)
	u.guarded = guarded{name: UpdateName, function: u.function, gaveUp: func() { u.hung.Add(1) }}
	u.retrain, err = s.Deploy(invoke.Spec{
		Name:    RetrainName,
		Run:     func(inv *invoke.Invocation) { inv.Payload.(*retraining).run() },
		Refused: func(inv *invoke.Invocation, _ *invoke.Refusal) { inv.Payload.(*retraining).refused() },
	})
	if err != nil {
		return err
	}
	t.deployed = append(t.deployed, u.retrain)
	t.updater = u
	return nil
}

// updateContract is what updateModel is promised; a sample takes its record and what
// the network makes of it.
func (t *Trigger) updateContract() invoke.Contract {
	c := t.settings.Update.Contract
	if c.Memory == 0 {
		c.Memory = t.eventMemory()
	}
	return c
}

func (u *updater) failures() uint64 { return u.failed.Load() + u.hung.Load() }

func (u *updater) started(*stream.Function) { close(u.ready) }

func (u *updater) stop() { u.stopped.Store(true) }

// refer counts the reference that was given, with the current model.
func (u *updater) refer() {
	u.reference, u.scores, u.window = nil, u.scores[:0], histogram{}
	n, _ := u.trigger.Model()
	for _, s := range u.settings.Reference {
		u.begin(s.Record, scoreWith(n, s.Record))
	}
	if len(u.scores) > 0 {
		u.endFirst()
	}
}

// begin adds to a first window: its scores say where the edges are.
func (u *updater) begin(record []byte, score int32) {
	u.window.addRecord(record)
	u.scores = append(u.scores, score)
}

// endFirst makes the first window the reference.
func (u *updater) endFirst() {
	u.edges = edgesOf(slices.Sorted(slices.Values(u.scores)))
	reference := u.window
	for _, score := range u.scores {
		reference.addScore(score, &u.edges)
	}
	u.reference, u.window, u.scores = &reference, histogram{}, u.scores[:0]
}

// receive is updateModel's run. Whatever it does with the sample is done when it
// returns.
func (u *updater) receive(s *stream.Sample) {
	run := u.trigger.watch.begin(&u.guarded, s.Poller, s.Sequence)
	if run == nil {
		u.suspended.Add(1)
		return
	}
	err := call(func() error { return u.take(s) })
	if !u.trigger.watch.end(run) || err == nil {
		return
	}
	u.failed.Add(1)
	u.trigger.tell(&StageError{UpdateName, s.Poller, s.Sequence, err})
}

// take counts a sample. What the user's Truth does, it does without the lock.
func (u *updater) take(s *stream.Sample) error {
	if s.Decision.Malformed() || u.stopped.Load() {
		u.mu.Lock()
		u.stats.Samples++
		u.mu.Unlock()
		return nil
	}
	class, known := 0, false
	if u.settings.Truth != nil {
		class, known = u.settings.Truth(s)
		n := u.trigger.settings.Network
		if known && (class < 0 || class >= n.Shape.Units[len(n.Shape.Units)-1]) {
			return &TruthError{class}
		}
	}
	n, version := u.trigger.Model()
	score := scoreOf(s.Decision)
	if s.Version != version {
		score = scoreWith(n, s.Record)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats.Samples++
	if known {
		u.stats.Labelled++
	}
	u.test(s.Record, score)
	if known && u.gathering && u.job == nil {
		u.gather(training.Sample{Record: slices.Clone(s.Record), Class: class})
	}
	u.resume()
	return nil
}

// TruthError says that Truth gave a class that the network does not have.
type TruthError struct{ Class int }

func (e *TruthError) Error() string {
	return "trigger: Truth gave a class that the network does not have"
}

// test counts a sample into the window, and ends the window when it is full.
func (u *updater) test(record []byte, score int32) {
	if u.reference == nil {
		u.begin(record, score)
		if len(u.scores) >= u.settings.Window {
			u.endFirst()
		}
		return
	}
	u.window.add(record, score, &u.edges)
	if u.window.size < u.settings.Window {
		return
	}
	u.stats.Windows++
	u.stats.LastDrift = compare(u.reference, &u.window, u.settings.Significance)
	u.window = histogram{}
	if u.stats.LastDrift.Drifted {
		u.stats.Drifts++
		u.ask()
	}
}

// ask begins to gather samples for a retraining, unless one goes on.
func (u *updater) ask() {
	if !u.gathering && u.job == nil && u.settings.Truth != nil {
		u.gathering, u.gathered = true, nil
	}
}

// Retrain has the model retrained with the samples that come from now on, drift or
// not. It returns at once; Stats tells what became of it. Without Update.Truth and
// samples nothing happens.
func (t *Trigger) Retrain() {
	if t.updater == nil {
		return
	}
	t.updater.mu.Lock()
	t.updater.ask()
	t.updater.mu.Unlock()
}

// fewest is how many samples of a class a retraining needs.
const fewest = 16

// gather keeps a sample, and begins to train when there are enough, of each class too.
func (u *updater) gather(s training.Sample) {
	u.gathered = append(u.gathered, s)
	want := max(min(u.settings.Samples, mostGatheredBytes/mostGathered/len(s.Record)), fewest)
	if len(u.gathered) < want {
		return
	}
	counts := u.countClasses()
	if slices.Min(counts) < fewest && len(u.gathered) < mostGathered*want {
		return
	}
	samples := u.gathered
	u.gathering, u.gathered = false, nil
	if slices.Min(counts) < fewest {
		u.end(nil, &TooFewError{slices.Index(counts, slices.Min(counts)), slices.Min(counts), len(samples)})
		return
	}
	u.job = newRetraining(u, samples, rand.New(rand.NewPCG(u.settings.Seed, u.stats.Retrainings)))
}

const (
	// mostGathered is how many times the samples asked for are waited for, for the
	// rare classes to come.
	mostGathered = 8
	// mostGatheredBytes bounds what they take in memory.
	mostGatheredBytes = 256 << 20
)

func (u *updater) countClasses() []int {
	n, _ := u.trigger.Model()
	counts := make([]int, n.Shape.Units[len(n.Shape.Units)-1])
	for _, s := range u.gathered {
		counts[s.Class]++
	}
	return counts
}

// resume submits the retraining's next slice if it is not on its way.
func (u *updater) resume() {
	if u.job != nil && !u.job.submitted {
		u.job.submit()
	}
}

// end books what became of a retraining. The lock is held.
func (u *updater) end(job *retraining, err error) {
	u.job = nil
	u.stats.Retrainings++
	if job != nil {
		u.stats.QualityBefore, u.stats.LastQuality = job.before, job.after
	}
	if err != nil {
		u.stats.Refused++
		u.stats.LastRefusal = err
		go u.trigger.tell(err) // without the lock
		return
	}
	u.stats.Swapped++
	u.settings.Reference = nil // what came before is no measure any more
	u.refer()
}
