package stream

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Spec describes a function to deploy.
type Spec struct {
	// Name identifies the function in accounts and errors; unique in a scheduler.
	Name string
	// Contract is what the function is promised: Rate is records per second from all
	// sources together, Deadline from when a record is due to its decision. Without a
	// Rate nothing is tested. RunTime is of one record; 0 means measured.
	Contract invoke.Contract
	// Program is what runs first.
	Program *Program
	// Sources bring the records, all of one size; each has a poller of its own.
	Sources []Source
	// InOrder has records decided strictly in the order in which they fall due. By
	// default those that cannot make the contract's Deadline any more give way to those
	// that can, and are decided when no other is due, so that one pause of a core makes only
	// the records late that fell due in it.
	InOrder bool
	// Batch is the most records decided at once, up to MostAtOnce, the default.
	Batch int
	// Pace says whether pollers leave their cores.
	Pace Pace
	// Cores are the processors that pollers are kept on, in turn. Default: for pinned
	// pollers the last ones allowed, as the first ones often serve interrupts; for
	// yielding ones any.
	Cores []int
	// Nice is the pollers' niceness, -20 to 19; below 0 it needs the right to.
	Nice int
	// Samples gets SampleRate records per second from all sources together.
	Samples    Outlet
	SampleRate float64
	// Selected gets the records that were selected.
	Selected Outlet
	// Pass is how often what waits for the outlets is passed on. Default 10 ms: each
	// time some core is taken from a poller for a moment.
	Pass time.Duration
	// Patience is how long a function behind an outlet, or Failed, may keep the goroutine
	// that passes records on before another takes its place. Default 1 s.
	Patience time.Duration
	// Failed is told of what failed (*PanicError, *RecordError), not of all of it if
	// much fails at once. Called by one goroutine, unless it hangs. Nil: only counted.
	Failed func(error)
	// Clock is what deadlines are counted with. Default: ProcessorClock.
	Clock *Clock
}

// Function is a deployed function.
type Function struct {
	name        string
	spec        Spec
	contract    invoke.Contract
	clock       *Clock
	size        int
	reservation *invoke.Reservation

	program atomic.Pointer[compiled]
	swap    sync.Mutex

	pollers []*poller
	polling sync.WaitGroup
	ready   sync.WaitGroup
	errors  chan error
	closing chan struct{}
	closed  sync.Once
	left    error         // what Close left behind
	stopped atomic.Uint64 // ticks
	drained chan struct{}

	accounts sync.Mutex // guards what follows
	settled  Stats      // of pollers, without what their counters hold
	notes    []string
}

const (
	defaultPass = 10 * time.Millisecond
	// startDelay is between all pollers being ready and the first record.
	startDelay = time.Millisecond
)

// Deploy admits a function to s, if its contract can be held beside all others and
// its kernels are fast enough, and starts its pollers. The error is an
// *invoke.NotAdmittedError, a *ProgramError, or says what makes no sense.
func Deploy(s *invoke.Scheduler, spec Spec) (*Function, error) {
	f, err := prepare(spec)
	if err != nil {
		return nil, err
	}
	if err := f.admit(s); err != nil {
		return nil, err
	}
	f.start()
	return f, nil
}

// Admit says what Deploy would refuse the function for, and keeps nothing. Kernels are
// timed for it, no poller is started.
func Admit(s *invoke.Scheduler, spec Spec) error {
	f, err := prepare(spec)
	if err == nil {
		err = f.admit(s)
	}
	if err == nil {
		f.reservation.Release()
	}
	return err
}

// prepare makes all of a function that needs no scheduler.
func prepare(spec Spec) (*Function, error) {
	f := &Function{
		name: spec.Name, spec: spec, clock: spec.Clock,
		errors: make(chan error, pendingErrors), closing: make(chan struct{}), drained: make(chan struct{}),
	}
	if f.clock == nil {
		f.clock = ProcessorClock()
	}
	kernels, err := spec.Program.check()
	if err == nil {
		err = f.checkSpec()
	}
	if err != nil {
		return nil, err
	}
	arena := spec.Sources[0].records()
	f.size = arena.size
	f.program.Store(compile(kernels, timeKernels(kernels, arena, f.clock), batchCost(f.clock), spec.Program.Version))
	return f, f.makePollers()
}

func (f *Function) checkSpec() error {
	s := &f.spec
	if len(s.Sources) == 0 {
		return errors.New("stream: no sources")
	}
	for i, source := range s.Sources {
		if _, ring := source.(*Ring); ring && slices.Contains(s.Sources[:i], source) {
			return fmt.Errorf("stream: source %d: a ring cannot have two pollers", i)
		}
		if a := source.records(); a == nil || a.count == 0 {
			return fmt.Errorf("stream: source %d has no records", i)
		} else if a.size != s.Sources[0].records().size {
			return fmt.Errorf("stream: records of %d and %d bytes", s.Sources[0].records().size, a.size)
		}
	}
	if s.Batch < 0 || s.Batch > MostAtOnce || s.Nice < -20 || s.Nice > 19 || s.Pass < 0 || s.Patience < 0 || s.Samples.Slots < 0 || s.Selected.Slots < 0 {
		return errors.New("stream: Batch, Nice, Pass, Patience or Slots is out of its range")
	}
	if !(s.SampleRate >= 0 && s.SampleRate <= 1e6) || (s.SampleRate > 0) != (s.Samples.To != nil) {
		return fmt.Errorf("stream: SampleRate %g: want 0 to 1e6, and Samples if it is not 0", s.SampleRate)
	}
	if s.Batch == 0 {
		s.Batch = MostAtOnce
	}
	if s.Pass == 0 {
		s.Pass = defaultPass
	}
	if s.Patience == 0 {
		s.Patience = defaultPatience
	}
	return nil
}

func (f *Function) makePollers() error {
	for i, source := range f.spec.Sources {
		arena := source.records()
		p := &poller{
			function: f, index: i, read: f.clock.Read, peek: f.clock.peek(), refs: arena.refs, mask: uint64(arena.count - 1),
			most: uint64(f.spec.Batch), limit: math.MaxUint64, pace: newPace(f.spec.Pace, f.clock, f.spec.Contract.Deadline),
			hold: newHold(f.spec.Pace == Pinned && collectorOff(), f.clock), counters: new(counters), spare: new(counters), core: f.coreOf(i), sampleAt: math.MaxUint64,
			ended: make(chan struct{}), inOrder: f.spec.InOrder, samples: newSide(f, f.spec.Samples, i, f.size), selected: newSide(f, f.spec.Selected, i, f.size),
		}
		if deadline := f.spec.Contract.Deadline; deadline > 0 {
			p.limit = f.clock.Ticks(deadline)
		}
		switch source := source.(type) {
		case *Ring:
			p.ring = source
			p.next = source.tail.Load()
			p.tail = p.next
			if rate := f.spec.Contract.Rate; rate > 0 {
				p.interval = f.clock.Frequency * float64(len(f.spec.Sources)) / rate
			}
		case *Schedule:
			table, err := newTimetable(source, f.clock)
			if err != nil {
				return err
			}
			p.table, p.phase = table, source.Phase
			p.interval = table.ticks()
		}
		if f.spec.SampleRate > 0 {
			p.sampleEvery = uint64(f.clock.Frequency * float64(len(f.spec.Sources)) / f.spec.SampleRate)
		}
		f.pollers = append(f.pollers, p)
	}
	return nil
}

// coreOf chooses where a poller runs.
func (f *Function) coreOf(i int) int {
	cores := f.spec.Cores
	if len(cores) == 0 && f.spec.Pace == Pinned {
		if allowed := AllowedCores(); len(allowed) > 0 {
			return allowed[len(allowed)-1-i%len(allowed)]
		}
	}
	if len(cores) == 0 {
		return -1
	}
	return cores[i%len(cores)]
}

// start lets the pollers begin together, and the drainer with them.
func (f *Function) start() {
	f.ready.Add(len(f.pollers))
	for _, p := range f.pollers {
		f.polling.Go(func() { p.main() })
	}
	f.ready.Wait()
	at := f.clock.Read() + f.clock.Ticks(startDelay)
	for _, p := range f.pollers {
		p.started.Store(at)
	}
	(&drainer{function: f}).start()
}

// main is the poller's goroutine. Its thread ends with it: it is not to be used
// for anything else with what was set.
func (p *poller) main() {
	runtime.LockOSThread()
	debug.SetPanicOnFault(true)
	p.prepare()
	p.function.ready.Done()
	for p.started.Load() == 0 {
		yieldCore()
	}
	at := p.started.Load()
	p.table.start(at, p.phase)
	if p.sampleEvery > 0 {
		p.sampleAt = at + p.sampleEvery*uint64(p.index)/uint64(len(p.function.pollers))
	}
	for p.run() {
	}
	p.hold.end()
	close(p.ended)
}

// prepare sets what the thread is to have, and has the code in its core's caches.
func (p *poller) prepare() {
	f := p.function
	if p.core >= 0 {
		if err := pinThread(p.core); err != nil {
			f.note(fmt.Sprintf("poller %d is not kept on core %d: %v", p.index, p.core, err))
			p.core = -1
		}
	}
	if f.spec.Nice != 0 {
		if err := niceThread(f.spec.Nice); err != nil {
			f.note(fmt.Sprintf("poller %d does not have niceness %d: %v", p.index, f.spec.Nice, err))
		}
	}
	sharpenTimer()
	p.use(f.program.Load())
	timeKernels(p.program.kernels, f.spec.Sources[p.index].records(), f.clock)
}

// Swap lets the pollers go on with another program from their next batch on. What a
// kernel costs is taken from the one of the same size before. The error is a
// *ProgramError.
func (f *Function) Swap(program *Program) error {
	kernels, err := program.check()
	if err != nil {
		return err
	}
	f.swap.Lock()
	defer f.swap.Unlock()
	before := f.program.Load()
	costs := make([]uint64, len(kernels))
	for i, k := range kernels {
		costs[i] = before.costOf(k.Size)
	}
	f.program.Store(compile(kernels, costs, before.batch, program.Version))
	return nil
}

// Close stops the pollers after their batches, passes on what waits for the
// outlets, and ends the contract. What hangs behind the outlets it does not wait for
// beyond Patience, a few times that if much does. Its sources may be used again afterwards.
//
// A poller whose kernel does not return is left after four times Patience: the error is
// a *HungError then, the others have closed, and the contract ends once the kernel
// returns, as it keeps its core until then. Its source must be left alone that long.
func (f *Function) Close() error {
	f.closed.Do(func() {
		for _, p := range f.pollers {
			p.control.Or(stop)
		}
		f.stopped.Store(f.clock.Read())
		hung := f.hung()
		close(f.closing)
		<-f.drained
		if len(hung) == 0 {
			f.reservation.Release()
			return
		}
		f.left = &HungError{f.name, hung}
		go func() {
			f.polling.Wait()
			f.reservation.Release()
		}()
	})
	return f.left
}

// hung waits until the pollers have ended, and returns those that do not.
func (f *Function) hung() (pollers []int) {
	look := time.NewTicker(f.spec.Patience)
	defer look.Stop()
	looks := 0
	for _, p := range f.pollers {
		for ended := false; !ended && looks < patientLooks; {
			select {
			case <-p.ended:
				ended = true
			case <-look.C:
				looks++
			}
		}
		select {
		case <-p.ended:
		default:
			pollers = append(pollers, p.index)
		}
	}
	return pollers
}

// Name returns the function's name.
func (f *Function) Name() string { return f.name }

// Contract returns the contract with its defaults filled in.
func (f *Function) Contract() invoke.Contract { return f.contract }

func (f *Function) note(line string) {
	f.accounts.Lock()
	defer f.accounts.Unlock()
	f.notes = append(f.notes, line)
}
