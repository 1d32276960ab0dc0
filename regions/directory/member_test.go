package directory

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty stands between one member and the store.
type faulty struct {
	Store
	mu      sync.Mutex
	away    bool
	latency time.Duration // of each way
	paused  chan struct{} // closed when the process goes on; nil: it runs
}

var errAway = errors.New("the store is away")

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faulty) state() (bool, time.Duration, chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away, f.latency, f.paused
}

func (f *faulty) Beat(ctx context.Context, own *Record) (Listing, error) {
	away, latency, paused := f.state()
	if paused != nil {
		<-paused
	}
	if away {
		return Listing{}, errAway
	}
	if err := wait(ctx, latency); err != nil {
		return Listing{}, err
	}
	l, err := f.Store.Beat(context.WithoutCancel(ctx), own)
	if err != nil {
		return l, err
	}
	return l, wait(ctx, latency)
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// incomplete is a shared store in which a missing record proves nothing.
type incomplete struct{ *Memory }

func (incomplete) Complete() bool { return false }

func newShared() incomplete { return incomplete{NewMemory()} }

type process struct {
	*Member
	store  *faulty
	mu     sync.Mutex
	heard  []string
	verify func()
}

func (p *process) hear(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, what)
}

func (p *process) lastHeard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.heard) == 0 {
		return ""
	}
	return p.heard[len(p.heard)-1]
}

func start(t *testing.T, store Store, id string, incarnation uint64) *process {
	t.Helper()
	p, err := tryStart(store, id, incarnation)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryStart(store Store, id string, incarnation uint64) (*process, error) {
	p := &process{store: &faulty{Store: store}}
	hooks := Hooks{
		LeaseLost: func(uint64) { p.hear("lost") },
		LeaseRegained: func(_ uint64, verified func()) {
			p.hear("regained")
			p.mu.Lock()
			p.verify = verified
			p.mu.Unlock()
		},
		Failed: func(error) { p.hear("failed") },
	}
	var err error
	p.Member, err = Join(context.Background(), p.store,
		Self{ID: id, Incarnation: incarnation, Roles: []Role{RoleOwner}, Address: "here:1"},
		DefaultConfig(), hooks, slog.New(slog.DiscardHandler), nil)
	return p, err
}

func pass(d time.Duration) {
	<-time.After(d) // by the clock of the bubble
	synctest.Wait()
}

func TestMembersSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		defer b.Abandon()
		pass(300 * time.Millisecond)
		for _, p := range []*process{a, b} {
			if !p.LeaseValid() || !p.View().Alive("a") || !p.View().Alive("b") {
				t.Fatalf("lease %v, view %+v", p.LeaseValid(), p.View())
			}
		}
		for _, shard := range shards(60) {
			if a.View().Owner(shard) != b.View().Owner(shard) {
				t.Fatalf("they disagree about %v", shard)
			}
		}
		if !a.View().Alive("nobody") {
			t.Error("after 300 ms nothing is known of who has no record")
		}
		pass(2 * time.Second)
		if a.View().Alive("nobody") {
			t.Error("after 2 s who has no record does not exist")
		}
	})
}

// A process that is stopped and continued (SIGSTOP, SIGCONT): silent from the
// first instruction on, until it has renewed and verified.
func TestPausedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		defer b.Abandon()
		pass(time.Second)
		resume := make(chan struct{})
		a.store.set(func(f *faulty) { f.paused = resume })
		pass(1100 * time.Millisecond)
		if !b.View().Alive("a") {
			t.Fatal("dead while its lease may hold")
		}
		pass(400 * time.Millisecond)
		if a.LeaseValid() {
			t.Fatal("the lease holds 1.5 s after the last renewal")
		}
		pass(500 * time.Millisecond)
		if b.View().Alive("a") || b.View().Owner(shards(1)[0]) != "b" {
			t.Fatal("2 s after its pause began, a is not held for dead")
		}
		a.store.set(func(f *faulty) { f.paused = nil })
		close(resume)
		pass(300 * time.Millisecond)
		if a.LeaseValid() {
			t.Fatal("speaks again before its tails were verified")
		}
		if a.lastHeard() != "regained" || a.Term() != 2 {
			t.Fatalf("heard %v, term %d", a.heard, a.Term())
		}
		a.verify()
		if !a.LeaseValid() {
			t.Fatal("verified, but still silent")
		}
		pass(300 * time.Millisecond)
		if !b.View().Alive("a") {
			t.Fatal("b does not see that a is back")
		}
	})
}

func TestOutageSilencesAndKillsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		defer b.Abandon()
		pass(time.Second)
		for _, p := range []*process{a, b} {
			p.store.set(func(f *faulty) { f.away = true })
		}
		pass(time.Minute)
		for _, p := range []*process{a, b} {
			if p.LeaseValid() {
				t.Fatal("the lease holds after a minute without renewal")
			}
			if !p.View().Alive("a") || !p.View().Alive("b") {
				t.Fatal("a store that does not answer made somebody dead")
			}
			p.store.set(func(f *faulty) { f.away = false })
		}
		pass(time.Second)
		for _, p := range []*process{a, b} {
			if !p.View().Alive("a") || !p.View().Alive("b") {
				t.Fatal("dead after the outage")
			}
			p.verify()
			if !p.LeaseValid() {
				t.Fatal("silent after the outage")
			}
		}
	})
}

func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		defer b.Abandon()
		a.store.set(func(f *faulty) { f.latency = 250 * time.Millisecond })
		b.store.set(func(f *faulty) { f.latency = 250 * time.Millisecond })
		for range 400 {
			pass(25 * time.Millisecond)
			if !a.LeaseValid() || !b.View().Alive("a") {
				t.Fatal("a store that takes half a second cost the lease")
			}
		}
	})
}

func TestRepeatedLapsesUnsettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		defer b.Abandon()
		lapse := func() {
			a.store.set(func(f *faulty) { f.away = true })
			pass(1400 * time.Millisecond)
			a.store.set(func(f *faulty) { f.away = false })
			pass(600 * time.Millisecond)
			a.verify()
		}
		lapse()
		if b.View().Node("a").Unsettled {
			t.Error("one lapse is forgiven")
		}
		lapse()
		if !b.View().Node("a").Unsettled || b.View().Owner(shards(1)[0]) != "b" {
			t.Error("the second lapse costs the shards for a while")
		}
		pass(3 * time.Second)
		if b.View().Node("a").Unsettled {
			t.Error("settled after 2 s")
		}
	})
}

func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer b.Abandon()
		pass(time.Second)
		if err := a.Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
		if a.LeaseValid() {
			t.Error("the lease holds after leaving")
		}
		pass(300 * time.Millisecond)
		if b.View().Alive("a") || b.View().Owner(shards(1)[0]) != "b" {
			t.Error("who left is still there")
		}
		pass(6 * time.Second)
		if b.View().Node("a") != nil {
			t.Error("who left is not forgotten")
		}
		again := start(t, store, "a", 3)
		again.Abandon()
	})
}

func TestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a := start(t, store, "a", 5)
		pass(time.Second)
		if _, err := tryStart(store, "a", 6); !errors.Is(err, ErrIDTaken) {
			t.Fatalf("a second process of the id: %v", err)
		}
		a.Abandon()
		begin := time.Now()
		next := start(t, store, "a", 4)
		defer next.Abandon()
		if waited := time.Since(begin); waited < 1500*time.Millisecond || waited > 2*time.Second {
			t.Errorf("the successor of a crash waited %v, want until the old lease is over", waited)
		}
	})
}

// A process paused for long comes back to find its id taken: it stands back.
func TestPausedProcessFindsItsIDTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a := start(t, store, "a", 9)
		defer a.Abandon()
		pass(time.Second)
		resume := make(chan struct{})
		a.store.set(func(f *faulty) { f.paused = resume })
		pass(time.Second)
		next := start(t, store, "a", 4)
		defer next.Abandon()
		a.store.set(func(f *faulty) { f.paused = nil })
		close(resume)
		pass(2 * time.Second)
		// Its request that was under way wrote the old record once more; the
		// next one finds the new process.
		if a.LeaseValid() && next.LeaseValid() {
			t.Fatal("two processes hold the lease of one id")
		}
		if a.Err() == nil && next.Err() == nil {
			t.Fatal("two processes go on under one id")
		}
	})
}

func TestDrainWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer b.Abandon()
		pass(time.Second)
		if err := store.SetDrain(context.Background(), "a", 1, true); err != nil {
			t.Fatal(err)
		}
		pass(300 * time.Millisecond)
		for _, p := range []*process{a, b} {
			if !p.View().Node("a").Draining || p.View().Owner(shards(1)[0]) != "b" {
				t.Fatal("the operator's wish is not followed")
			}
		}
		a.Abandon()
		a = start(t, store, "a", 3)
		defer a.Abandon()
		pass(time.Second)
		if b.View().Node("a").Draining {
			t.Error("a new process of the id is drained by the old wish")
		}
		a.SetDraining(true)
		pass(300 * time.Millisecond)
		if !b.View().Node("a").Draining {
			t.Error("its own word is not followed")
		}
	})
}

func TestLongDeadAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer b.Abandon()
		pass(time.Second)
		a.Abandon()
		pass(5 * time.Minute)
		if n := b.View().Node("a"); n == nil || n.Alive {
			t.Fatalf("after 5 minutes: %+v", n)
		}
		pass(6 * time.Minute)
		if n := b.View().Node("a"); n != nil {
			t.Errorf("after 11 minutes: %+v", n)
		}
		if _, there := store.records["a"]; there {
			t.Error("its record is still in the store")
		}
	})
}

// Whole members under random faults: never does one hold the lease that it had
// when another one gave it up for dead.
func TestMembersUnderFaults(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) { membersUnderFaults(t, seed) })
	}
}

func membersUnderFaults(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	store := newShared()
	var all []*process
	for i, id := range []string{"a", "b", "c"} {
		all = append(all, start(t, store, id, uint64(i+1)))
	}
	mourned := map[[2]int]uint64{}
	for range 3000 {
		pass(time.Duration(random.IntN(40)) * time.Millisecond)
		if random.IntN(25) == 0 {
			all[random.IntN(len(all))].disturb(random)
		}
		for i, watcher := range all {
			for k, p := range all {
				n := watcher.View().Node(p.own.ID)
				pair := [2]int{i, k}
				if i == k || n == nil || n.Alive {
					delete(mourned, pair)
					continue
				}
				if _, known := mourned[pair]; !known {
					mourned[pair] = n.Term
				}
				if p.LeaseValid() && p.Term() <= max(mourned[pair], 1) {
					t.Fatalf("seed %d: %s, dead for %s, speaks in term %d", seed, n.ID, watcher.own.ID, p.Term())
				}
			}
		}
	}
	for _, p := range all {
		p.calm()
	}
	pass(5 * time.Second)
	for _, p := range all {
		if p.mu.Lock(); p.verify != nil {
			p.verify()
		}
		p.mu.Unlock()
		if !p.LeaseValid() || !all[0].View().Alive(p.own.ID) {
			t.Errorf("seed %d: %s did not come back", seed, p.own.ID)
		}
		p.Abandon()
	}
}

func (p *process) disturb(random *rand.Rand) {
	p.calm()
	p.mu.Lock()
	if p.verify != nil && random.IntN(2) == 0 {
		p.verify()
	}
	p.mu.Unlock()
	switch random.IntN(4) {
	case 0:
		p.store.set(func(f *faulty) { f.away = true })
	case 1:
		p.store.set(func(f *faulty) { f.latency = time.Duration(random.IntN(400)) * time.Millisecond })
	case 2:
		p.store.set(func(f *faulty) { f.paused = make(chan struct{}) })
	}
}

func (p *process) calm() {
	p.store.set(func(f *faulty) {
		f.away, f.latency = false, 0
		if f.paused != nil {
			close(f.paused)
			f.paused = nil
		}
	})
}

// Guards against a quarter of a second of disagreement that one of the two could
// have known of.
func TestLookReadsAtOnceAndNotWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		defer b.Abandon()
		pass(610 * time.Millisecond) // no reading is due for a while
		b.SetDraining(true)
		pass(0)
		if a.View().Node("b").Draining {
			t.Fatal("a has read already: the test shows nothing")
		}
		a.Look()
		pass(lookPause)
		if !a.View().Node("b").Draining {
			t.Error("a does not know that b drains")
		}
		before := counterOf(t, store, "a")
		for range 1000 {
			a.Look()
			pass(time.Millisecond)
		}
		if n := counterOf(t, store, "a") - before; n < 20 || n > uint64(time.Second/lookPause)+5 {
			t.Errorf("%d readings in a second", n)
		}
	})
}

func counterOf(t *testing.T, store Store, id string) uint64 {
	t.Helper()
	listing, err := store.Beat(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range listing.Records {
		if r.ID == id {
			return r.Counter
		}
	}
	t.Fatalf("no record of %s", id)
	return 0
}

// A process that ends without a word is dead for the others as soon as its
// counter has stood still for Death, not at the regular reading after that.
func TestDeathIsNoticedOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		a, b := start(t, store, "a", 1), start(t, store, "b", 2)
		defer a.Abandon()
		pass(100 * time.Millisecond)
		a.Look() // a sees the counter that stays at an instant that is not its regular one
		pass(lookPause)
		b.Abandon()
		pass(DefaultConfig().Death - 100*time.Millisecond)
		if !a.View().Alive("b") {
			t.Error("dead too early")
		}
		pass(100 * time.Millisecond)
		if a.View().Alive("b") {
			t.Error("not dead, though its counter stood still for long enough")
		}
	})
}
