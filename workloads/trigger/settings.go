package trigger

import (
	"fmt"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/archive"
	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// Settings configure a Trigger. The paper's symbols stand in brackets. Network and
// Sources are required.
type Settings struct {
	// Network is the first model; the size of its records is that of the sources
	// (Op, S_t). Its threshold decides how much is selected.
	Network *network.Network
	// Instructions names the set of instructions to use ("vnni", "avx2", "go");
	// empty for the fastest that passes its trial.
	Instructions string
	// Sources bring the records.
	Sources []stream.Source
	// Rate is the guaranteed records per second of all sources together (N_t), Limit
	// the time to a decision (L_t), MissTarget the tolerated share beyond it. Without
	// a Rate nothing is promised and nothing tested.
	Rate       float64
	Limit      time.Duration
	MissTarget float64
	// Memory is the bytes that a poller's records lie in, for its account (Used and R).
	Memory int64
	// Batch, Pace, Cores, Nice and Pass are those of stream.Spec.
	Batch int
	Pace  stream.Pace
	Cores []int
	Nice  int
	Pass  time.Duration

	// Chain replaces the stages behind the selection.
	Chain []Stage
	// ChainRate is how many selected events per second are guaranteed to be dealt
	// with (0: best effort), ChainDeadline when an event is to be done, counted from
	// when its record was due. Default 100 ms. ChainHard: what is too late is dropped.
	ChainRate       float64
	ChainDeadline   time.Duration
	ChainHard       bool
	ChainMissTarget float64
	// ArchiveRunTime is that of archive_event's contract, 0 for learned. Above a
	// millisecond (invoke.Config.LongRun) a slow disk holds up long runs only.
	ArchiveRunTime time.Duration
	// SelectedSlots is how many selected events each poller may have on their way.
	SelectedSlots int
	// Energy gives the energy of a record in GeV. Required without Chain; detectors
	// have it.
	Energy func(record []byte) float64
	// LeastEnergy in GeV is what an event must have to be kept.
	LeastEnergy float64
	// Archive takes the events. Required without Chain. It is closed by its owner.
	Archive *archive.Archive

	// SampleRate is how many records per second go to updateModel (N_s); 0 turns it
	// off.
	SampleRate float64
	// SampleSlots is how many samples each poller may have on their way.
	SampleSlots int
	// Update says how the model is kept up to date.
	Update Update

	// Bound is how long a stage of the chain, or updateModel, may run for one event. One
	// that takes longer hangs: the event is given up with ErrHung, another worker goes
	// on. Default: ChainDeadline, at least 1 s.
	Bound time.Duration

	// Failed is told of failures; not of all if many come at once. It must be quick.
	// Nil: only counted.
	Failed func(error)
}

// Update configures updateModel.
type Update struct {
	// Contract is what updateModel is promised. Zero: it is best effort.
	Contract invoke.Contract
	// Truth gives the class of a sampled record, as reconstruction finds it later; false
	// if it is not known. Without it drift is noticed, but nothing retrained.
	Truth func(s *stream.Sample) (class int, known bool)
	// Reference are records as the network was trained with. Without them the first
	// Window after a swap is what later ones are compared with.
	Reference []training.Sample
	// Window is how many samples are compared at a time. Default 2048.
	Window int
	// Significance is the chance of a false alarm in a window. Default 1e-6.
	Significance float64
	// Samples is how many a retraining takes. Default 4096.
	Samples int
	// Options are those of the retraining. Default: 4 epochs, batches of 32, rate
	// 0.0005.
	Options training.Options
	// Select is the share of the background that a new threshold lets through.
	// Default: what the network before lets through of the same samples.
	Select float64
	// Tolerance is by how much the area under the curve may fall before a retrained
	// network is refused. Default 0.005.
	Tolerance float64
	// Slice is how long an invocation of retrain goes on. Default 1 ms.
	Slice time.Duration
	// Seed makes retraining repeatable.
	Seed uint64
}

// SettingsError says what makes no sense in Settings.
type SettingsError struct{ Why string }

func (e *SettingsError) Error() string { return "trigger: settings: " + e.Why }

func (s *Settings) check() error {
	wrong := func(format string, args ...any) error { return &SettingsError{fmt.Sprintf(format, args...)} }
	u := &s.Update
	switch {
	case s.Network == nil:
		return wrong("no network")
	case len(s.Sources) == 0:
		return wrong("no sources")
	case len(s.Chain) == 0 && s.Energy == nil:
		return wrong("neither Chain nor Energy")
	case len(s.Chain) == 0 && s.Archive == nil:
		return wrong("neither Chain nor Archive")
	case s.ChainDeadline < 0 || s.LeastEnergy < 0 || s.Bound < 0 || s.Memory < 0:
		return wrong("ChainDeadline, LeastEnergy, Bound or Memory is negative")
	case u.Window < 0 || u.Samples < 0 || u.Slice < 0 || u.Tolerance < 0:
		return wrong("a field of Update is negative")
	case !(u.Significance >= 0 && u.Significance < 1) || !(u.Select >= 0 && u.Select < 1):
		return wrong("Significance or Select of Update is not within 0..1")
	}
	for i, source := range s.Sources {
		if size := stream.RecordSize(source); size != s.Network.Shape.Size {
			return wrong("source %d has records of %d bytes, the network is for %d", i, size, s.Network.Shape.Size)
		}
	}
	for i, st := range s.Chain {
		if st.Run == nil || st.Name == "" {
			return wrong("stage %d has no name or nothing to run", i)
		}
	}
	for _, sample := range u.Reference {
		if len(sample.Record) != s.Network.Shape.Size {
			return wrong("a reference of %d bytes for records of %d", len(sample.Record), s.Network.Shape.Size)
		}
	}
	return nil
}

func (s *Settings) setDefaults() {
	setDefault(&s.ChainDeadline, 100*time.Millisecond)
	setDefault(&s.Bound, max(s.ChainDeadline, time.Second))
	setDefault(&s.Update.Window, 2048)
	setDefault(&s.Update.Significance, 1e-6)
	setDefault(&s.Update.Samples, 4096)
	setDefault(&s.Update.Tolerance, 0.005)
	setDefault(&s.Update.Slice, time.Millisecond)
	setDefault(&s.Update.Options.Epochs, 4)
	setDefault(&s.Update.Options.Batch, 32)
	setDefault(&s.Update.Options.Rate, 0.0005)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// EnergyOf is a detector's measurement, for Settings.Energy.
func EnergyOf(d detector.Detector) func([]byte) float64 { return d.Energy }
