package trigger

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/archive"
	"github.com/starling-vr/starling/workloads/trigger/kernels"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// The names of the functions beside the chain's.
const (
	InferenceName = "TNN_inference"
	UpdateName    = "updateModel"
	RetrainName   = "retrain"
)

// Trigger is a deployed trigger.
type Trigger struct {
	settings  Settings
	now       func() invoke.Instant
	inference *stream.Function
	chain     []*stage
	updater   *updater
	watch     *watch
	deployed  []*invoke.Function
	events    sync.Pool
	chainLate atomic.Uint64
	failures  atomic.Uint64

	set      kernels.Set
	trials   []error
	models   sync.RWMutex // guards what follows
	versions map[uint64]*network.Network
	version  uint64
	swapping sync.Mutex
}

// keptModels is how many models back events may be formatted with their own.
const keptModels = 4

// Deploy admits all functions of the trigger to s and starts its pollers. The errors
// are *SettingsError, those of network.Check and stream.Deploy,
// *kernels.MissingError, and *invoke.NotAdmittedError; then nothing is left deployed.
func Deploy(s *invoke.Scheduler, settings Settings) (*Trigger, error) {
	t, spec, err := deployOrdinary(s, settings)
	if err != nil {
		return nil, err
	}
	if t.inference, err = stream.Deploy(s, spec); err != nil {
		t.undeploy()
		return nil, err
	}
	if t.updater != nil {
		t.updater.started(t.inference)
	}
	return t, nil
}

// Admit says what Deploy would refuse the trigger for, and leaves nothing deployed.
// No record is decided, and Settings.Archive is not needed.
func Admit(s *invoke.Scheduler, settings Settings) error {
	if settings.Archive == nil {
		settings.Archive = new(archive.Archive) // nothing is appended
	}
	t, spec, err := deployOrdinary(s, settings)
	if err != nil {
		return err
	}
	defer t.undeploy()
	return stream.Admit(s, spec)
}

// deployOrdinary deploys all functions but TNN_inference, and gives what that is.
func deployOrdinary(s *invoke.Scheduler, settings Settings) (*Trigger, stream.Spec, error) {
	if err := settings.check(); err != nil {
		return nil, stream.Spec{}, err
	}
	settings.setDefaults()
	t := &Trigger{settings: settings, now: s.Now, versions: make(map[uint64]*network.Network)}
	t.watch = newWatch(s, settings.Bound, t.tell)
	program, err := t.compileFirst()
	if err != nil {
		return nil, stream.Spec{}, err
	}
	spec, err := t.deploy(s, program)
	if err != nil {
		t.undeploy()
	}
	return t, spec, err
}

func (t *Trigger) deploy(s *invoke.Scheduler, program *stream.Program) (spec stream.Spec, err error) {
	stages := t.settings.Chain
	if len(stages) == 0 {
		stages = t.defaultChain()
	}
	if err := t.deployChain(s, stages); err != nil {
		return spec, err
	}
	spec = stream.Spec{
		Name: InferenceName, Program: program, Sources: t.settings.Sources,
		Contract: invoke.Contract{Rate: t.settings.Rate, Deadline: t.settings.Limit, MissTarget: t.settings.MissTarget, Memory: t.settings.Memory},
		Batch:    t.settings.Batch, Pace: t.settings.Pace, Cores: t.settings.Cores, Nice: t.settings.Nice, Pass: t.settings.Pass, Patience: t.settings.Bound,
		Selected: stream.Outlet{To: t.chain[0].function, Slots: t.settings.SelectedSlots},
		Failed:   t.tell,
	}
	if t.settings.SampleRate > 0 {
		if err := t.deployUpdate(s); err != nil {
			return spec, err
		}
		spec.Samples = stream.Outlet{To: t.updater.function, Slots: t.settings.SampleSlots}
		spec.SampleRate = t.settings.SampleRate
	}
	return spec, nil
}

// compileFirst chooses the set of instructions and compiles the first model.
func (t *Trigger) compileFirst() (*stream.Program, error) {
	n := t.settings.Network
	if name := t.settings.Instructions; name != "" {
		for _, set := range kernels.Sets() {
			if set.String() == name {
				t.set = set
				program, err := kernels.Program(n, set, 1)
				if err == nil {
					err = kernels.Try(n, set, program)
				}
				t.remember(n, 1)
				return program, err
			}
		}
		return nil, &SettingsError{fmt.Sprintf("no set of instructions is called %q", name)}
	}
	program, set, trials, err := kernels.Best(n, 1)
	t.set, t.trials = set, trials
	t.remember(n, 1)
	return program, err
}

// remember makes n the current model.
func (t *Trigger) remember(n *network.Network, version uint64) {
	t.models.Lock()
	t.versions[version] = n
	delete(t.versions, version-keptModels)
	t.version = version
	t.models.Unlock()
}

// Model gives the current model and its version.
func (t *Trigger) Model() (*network.Network, uint64) {
	t.models.RLock()
	defer t.models.RUnlock()
	return t.versions[t.version], t.version
}

// WrongShapeError says that a model is for other records than the trigger's.
type WrongShapeError struct{ Got, Want network.Shape }

func (e *WrongShapeError) Error() string {
	return fmt.Sprintf("trigger: a model for records of %d bytes, not %d", e.Got.Size, e.Want.Size)
}

// Swap makes pollers go on with another model, from their next batches on, and
// returns its version. Its kernels are tried first; the errors are *WrongShapeError,
// those of network.Check, and *kernels.MismatchError.
func (t *Trigger) Swap(n *network.Network) (version uint64, err error) {
	t.swapping.Lock()
	defer t.swapping.Unlock()
	if n.Shape.Size != t.settings.Network.Shape.Size {
		return 0, &WrongShapeError{n.Shape, t.settings.Network.Shape}
	}
	_, version = t.Model()
	version++
	program, err := kernels.Program(n, t.set, version)
	if err != nil {
		return 0, err
	}
	if err := kernels.Try(n, t.set, program); err != nil {
		return 0, err
	}
	if err := t.inference.Swap(program); err != nil {
		return 0, err
	}
	t.remember(n, version)
	return version, nil
}

// format finds an event's class with the model that selected it.
func (t *Trigger) format(e *Event) error {
	t.models.RLock()
	n := t.versions[e.Version]
	t.models.RUnlock()
	if n == nil {
		return nil
	}
	e.Logits = append(e.Logits[:0], n.Logits(e.Record)...)
	e.Class = network.Class(e.Logits)
	return nil
}

// Inference is the stream's function.
func (t *Trigger) Inference() *stream.Function { return t.inference }

// Instructions is the set of instructions in use, and the errors of those that failed
// their trial.
func (t *Trigger) Instructions() (kernels.Set, []error) { return t.set, t.trials }

func (t *Trigger) tell(err error) {
	t.failures.Add(1)
	if t.settings.Failed != nil {
		_ = call(func() error { t.settings.Failed(err); return nil })
	}
}

// Close stops the pollers and undeploys the functions. What is in the chain is
// refused; drain it first by waiting until Stats says that nothing is under way. What
// runs is waited for, at most Settings.Bound, and a kernel at most four times that; the
// error is a *LeftError, or a *stream.HungError of TNN_inference, or both, if something hangs.
func (t *Trigger) Close() (err error) {
	if t.updater != nil {
		t.updater.stop()
	}
	if t.inference != nil {
		err = t.inference.Close()
	}
	t.undeploy()
	t.watch.stop()
	return errors.Join(err, t.left())
}

// left says what hangs.
func (t *Trigger) left() error {
	hanging := make(map[string]int)
	for _, st := range t.chain {
		hanging[st.Name] = int(st.hanging.Load())
	}
	if t.updater != nil {
		hanging[UpdateName] = int(t.updater.guarded.hanging.Load())
	}
	maps.DeleteFunc(hanging, func(_ string, runs int) bool { return runs == 0 })
	if len(hanging) == 0 {
		return nil
	}
	return &LeftError{hanging}
}

func (t *Trigger) undeploy() {
	for _, f := range t.deployed {
		f.Undeploy()
	}
	t.deployed = nil
}

func scoreOf(d stream.Decision) int32 { return kernels.ScoreOf(d) }
