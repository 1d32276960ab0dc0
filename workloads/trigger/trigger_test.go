package trigger

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/archive"
	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a trigger with a ring that the test fills.
type bench struct {
	t         *testing.T
	trigger   *Trigger
	scheduler *invoke.Scheduler
	ring      *stream.Ring
	folder    string
	archive   *archive.Archive
	mu        sync.Mutex
	errors    []error
}

// newBench deploys the jet trigger as the settings say.
func newBench(t *testing.T, change func(*Settings)) *bench {
	t.Helper()
	if most := runtime.GOMAXPROCS(0); most < 4 {
		runtime.GOMAXPROCS(4)
		t.Cleanup(func() { runtime.GOMAXPROCS(most) })
	}
	b := &bench{t: t, folder: t.TempDir()}
	n, _, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	arena, err := stream.NewArena(4096, n.Shape.Size)
	if err != nil {
		t.Fatal(err)
	}
	b.ring = stream.NewRing(arena, stream.ProcessorClock())
	if b.archive, err = archive.Open(b.folder, archive.Options{Sync: archive.SyncNever}); err != nil {
		t.Fatal(err)
	}
	settings := Settings{
		Network: n, Sources: []stream.Source{b.ring}, Pace: stream.Yielding,
		Energy: detector.NewJets(detector.Conditions{}).Energy, Archive: b.archive,
		Failed: func(err error) {
			b.mu.Lock()
			b.errors = append(b.errors, err)
			b.mu.Unlock()
		},
	}
	if change != nil {
		change(&settings)
	}
	s := invoke.New(invoke.Config{Workers: 2, Cores: 16})
	b.scheduler = s
	if b.trigger, err = Deploy(s, settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.trigger.Close()
		if err := errors.Join(s.Close(context.Background()), b.archive.Close(), arena.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// push hands a record over, waiting while the ring is full.
func (b *bench) push(record []byte) {
	for errors.Is(b.ring.Push(record), stream.ErrFull) {
		runtime.Gosched()
	}
}

// settle waits until count records are decided and all of the chain is done.
func (b *bench) settle(count uint64) *Stats {
	for {
		s := b.trigger.Stats()
		if s.Inference.Records() >= count && s.ChainUnderWay == 0 {
			return s
		}
		runtime.Gosched()
	}
}

func (b *bench) told() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]error(nil), b.errors...)
}

func jets(seed uint64, count int, conditions detector.Conditions, signal float64) (records [][]byte, classes []int) {
	random := rand.New(rand.NewPCG(seed, 2))
	d := detector.NewJets(conditions)
	for range count {
		record, class := make([]byte, 16), 0
		class = detector.Mix(random, d, signal)
		d.Event(random, class, record)
		records, classes = append(records, record), append(classes, class)
	}
	return records, classes
}

// From the record to the file: what the network selects, and nothing else, is in the
// archive, with the class, energy and logits that belong to it.
func TestSelectedEventsReachTheArchive(t *testing.T) {
	b := newBench(t, func(s *Settings) { s.SelectedSlots = 4096 })
	records, _ := jets(1, 1500, detector.Conditions{}, 0.3)
	n, _ := b.trigger.Model()
	want := map[uint64][]byte{}
	for i, record := range records {
		if network.Score(n.Logits(record)) > n.Threshold {
			want[uint64(i)] = record
		}
		b.push(record)
	}
	stats := b.settle(uint64(len(records)))
	if int(stats.ChainCompleted) != len(want) || len(want) < 50 || stats.Inference.Decided != 1500 {
		t.Fatalf("%d of %d events went through, %d decided", stats.ChainCompleted, len(want), stats.Inference.Decided)
	}
	_, err := archive.Scan(b.folder, func(payload []byte) error {
		e, err := DecodeEvent(payload)
		if err != nil {
			return err
		}
		record := want[e.Sequence]
		logits := n.Logits(record)
		if string(record) != string(e.Record) || e.Score != network.Score(logits) || e.Class != network.Class(logits) || e.Version != 1 || e.Energy < 300 || len(e.Logits) != 5 {
			t.Errorf("event %d: %+v", e.Sequence, e)
		}
		delete(want, e.Sequence)
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Errorf("%d events are missing: %v", len(want), err)
	}
}

// Events of little energy end at select_event, damaged records before the chain, and a
// zero-length write is no event.
func TestWhatIsNotKept(t *testing.T) {
	b := newBench(t, func(s *Settings) { s.SelectedSlots, s.LeastEnergy = 4096, 1e9 })
	records, _ := jets(2, 300, detector.Conditions{}, 1)
	for _, record := range records {
		b.push(record)
	}
	damaged := append([]byte(nil), records[0]...)
	damaged[0] = network.Damaged
	b.push(damaged)
	var wrong *stream.RecordError
	for _, record := range [][]byte{nil, damaged[:15], make([]byte, 1<<20)} {
		if err := b.ring.Push(record); !errors.As(err, &wrong) {
			t.Errorf("a record of %d bytes: %v", len(record), err)
		}
	}
	stats := b.settle(301)
	if stats.Inference.Malformed != 1 || stats.ChainCompleted != 0 || stats.Chain[1].Rejected != stats.Inference.Selected || stats.Inference.Selected == 0 {
		t.Errorf("%d malformed, %d selected, chain %+v", stats.Inference.Malformed, stats.Inference.Selected, stats.Chain)
	}
}

// A stage that panics or fails costs its own event; the others go through.
func TestAStageThatPanics(t *testing.T) {
	var seen atomic.Uint64
	b := newBench(t, func(s *Settings) {
		s.SelectedSlots = 4096
		s.Chain = []Stage{
			{Name: "first", Run: func(*Event) error { return nil }},
			{Name: "second", Run: func(*Event) error {
				switch seen.Add(1) % 3 {
				case 0:
					panic("broken")
				case 1:
					return errors.New("failed")
				}
				return nil
			}},
		}
	})
	records, _ := jets(3, 400, detector.Conditions{}, 1)
	for _, record := range records {
		b.push(record)
	}
	stats := b.settle(400)
	second := stats.Chain[1]
	if second.Failed == 0 || second.Completed == 0 || second.Failed+second.Completed != stats.Inference.Selected || stats.Failures != second.Failed {
		t.Errorf("%+v of %d, %d failures", second, stats.Inference.Selected, stats.Failures)
	}
	panics := 0
	for _, err := range b.told() {
		var stage *StageError
		if !errors.As(err, &stage) || stage.Function != "second" {
			t.Fatal(err)
		}
		if caught := (*PanicError)(nil); errors.As(err, &caught) {
			panics++
		}
	}
	if panics == 0 {
		t.Error("no panic was told")
	}
}

// The archive is full: the events are lost with an error that says so, and the
// trigger goes on deciding.
func TestAFullArchive(t *testing.T) {
	folder := t.TempDir()
	full, err := archive.Open(folder, archive.Options{TotalBytes: 1000, Sync: archive.SyncNever})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	b := newBench(t, func(s *Settings) { s.SelectedSlots, s.Archive = 4096, full })
	records, _ := jets(4, 300, detector.Conditions{}, 1)
	for _, record := range records {
		b.push(record)
	}
	stats := b.settle(300)
	last := stats.Chain[len(stats.Chain)-1]
	if last.Completed == 0 || last.Failed == 0 {
		t.Errorf("%+v", last)
	}
	var what *archive.FullError
	if told := b.told(); len(told) == 0 || !errors.As(told[0], &what) {
		t.Error(told)
	}
}

func TestMetrics(t *testing.T) {
	b := newBench(t, func(s *Settings) { s.SelectedSlots = 4096 })
	records, _ := jets(12, 100, detector.Conditions{}, 1)
	for _, record := range records {
		b.push(record)
	}
	stats := b.settle(100)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(b.trigger))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "starling_trigger_selected_total" && m.GetLabel()[0].GetValue() == "selected" {
				found = uint64(m.GetCounter().GetValue()) == stats.Inference.Selected
			}
		}
	}
	if !found || len(families) != 12 {
		t.Errorf("%d families", len(families))
	}
}

func TestAModelOfTheWrongShapeIsRefused(t *testing.T) {
	b := newBench(t, nil)
	image, _, err := preset.Network("image")
	if err != nil {
		t.Fatal(err)
	}
	var shape *WrongShapeError
	if _, err := b.trigger.Swap(image); !errors.As(err, &shape) {
		t.Error(err)
	}
	n, version := b.trigger.Model()
	broken := *n
	broken.Layers = broken.Layers[1:]
	var wrong *network.Error
	if _, err := b.trigger.Swap(&broken); !errors.As(err, &wrong) {
		t.Error(err)
	}
	if _, now := b.trigger.Model(); now != version {
		t.Error("the version changed")
	}
	if next, err := b.trigger.Swap(n); err != nil || next != version+1 {
		t.Error(next, err)
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	n, _, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	arena, err := stream.NewArena(64, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	sources := []stream.Source{stream.NewRing(arena, stream.ProcessorClock())}
	stage := []Stage{{Name: "one", Run: func(*Event) error { return nil }}}
	s := invoke.New(invoke.Config{Workers: 1})
	defer s.Close(context.Background())
	for name, settings := range map[string]Settings{
		"no network":      {Sources: sources, Chain: stage},
		"no sources":      {Network: n, Chain: stage},
		"no chain":        {Network: n, Sources: sources},
		"a nameless one":  {Network: n, Sources: sources, Chain: []Stage{{}}},
		"instructions":    {Network: n, Sources: sources, Chain: stage, Instructions: "mmx"},
		"negative window": {Network: n, Sources: sources, Chain: stage, Update: Update{Window: -1}},
		"significance":    {Network: n, Sources: sources, Chain: stage, Update: Update{Significance: 2}},
	} {
		var wrong *SettingsError
		if _, err := Deploy(s, settings); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := s.Accounts().Functions; len(left) != 0 {
		t.Errorf("left deployed: %v", left)
	}
}

// What a contract cannot hold, Admit says as Deploy does; it leaves nothing deployed.
func TestAdmitKeepsNothing(t *testing.T) {
	n, _, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	arena, err := stream.NewArena(64, n.Shape.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	if most := runtime.GOMAXPROCS(0); most < 4 {
		runtime.GOMAXPROCS(4)
		t.Cleanup(func() { runtime.GOMAXPROCS(most) })
	}
	s := invoke.New(invoke.Config{Workers: 2})
	defer s.Close(context.Background())
	settings := Settings{
		Network: n, Sources: []stream.Source{&stream.Schedule{Arena: arena, Rate: 1000}}, Rate: 1000, Limit: time.Millisecond,
		Pace: stream.Yielding, Energy: detector.NewJets(detector.Conditions{}).Energy, SampleRate: 10,
		Update: Update{Contract: invoke.Contract{Rate: 10, Deadline: time.Second}},
	}
	for range 2 {
		if err := Admit(s, settings); err != nil {
			t.Fatal(err)
		}
	}
	settings.Rate = 1e12
	var refused *invoke.NotAdmittedError
	if err := Admit(s, settings); !errors.As(err, &refused) || refused.Function != InferenceName || refused.Shortages[0].Resource != "cores" {
		t.Errorf("got %v", err)
	}
	settings.Rate, settings.ChainRate = 1000, 1e9
	if err := Admit(s, settings); !errors.As(err, &refused) || refused.Function != "measure_energy" {
		t.Errorf("got %v", err)
	}
	if left := s.Accounts().Functions; len(left) != 0 {
		t.Errorf("%d functions are left", len(left))
	}
}

// A stage's failures are in the account of its function, which says what it holds, too.
func TestFailuresAreInTheAccounts(t *testing.T) {
	records, _ := jets(9, 512, detector.Conditions{}, 1)
	b := newBench(t, func(s *Settings) {
		s.Chain = []Stage{{Name: "spoil", Run: func(*Event) error { return errors.New("spoiled") }}}
	})
	for _, record := range records {
		b.push(record)
	}
	s := b.settle(uint64(len(records)))
	for _, a := range b.scheduler.Accounts().Functions {
		if a.Name == "spoil" && (a.Failures != s.Chain[0].Failed || a.Failures == 0 || a.Contract.Memory == 0 || a.Used == 0) {
			t.Errorf("%+v for %+v", a, s.Chain[0])
		}
	}
}
