package logtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/starling-vr/starling/world"
)

// Operation names a method of world.Log.
type Operation string

// The methods that faults can be asked for.
const (
	Claim         Operation = "Claim"
	Append        Operation = "Append"
	Tail          Operation = "Tail"
	Read          Operation = "Read"
	WriteSnapshot Operation = "WriteSnapshot"
	Snapshot      Operation = "Snapshot"
	Release       Operation = "Release"
	Shards        Operation = "Shards"
)

// Fault is what becomes of a call.
type Fault int

const (
	// None: the call goes through.
	None Fault = iota
	// LoseCall: the store never hears of it; the caller gets ErrUnavailable.
	LoseCall
	// LoseReply: the call takes effect, and the caller gets ErrUnavailable.
	LoseReply
)

// Faulty is a world.Log that loses calls and replies of the one beneath, as
// asked for. The caller cannot tell the two apart. To roll a tail back or to
// have an epoch issued twice, put the store beneath back to an earlier state
// (memory.Log.Capture, RollBack) and claim again.
type Faulty struct {
	log world.Log

	mu          sync.Mutex
	unavailable bool
	planned     map[Operation][]Fault
	choose      func(Operation, world.ShardID) Fault
	held        map[Operation]chan struct{}
	lost        int
}

var _ world.Appender = (*Faulty)(nil)

// NewFaulty wraps log; all goes through until told otherwise.
func NewFaulty(log world.Log) *Faulty {
	return &Faulty{log: log, planned: make(map[Operation][]Fault), held: make(map[Operation]chan struct{})}
}

// Next plans the faults of the next calls of an operation, in order.
func (f *Faulty) Next(operation Operation, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.planned[operation] = append(f.planned[operation], faults...)
}

// Choose lets choose decide on each call for which nothing is planned; nil
// lets all through. It is called under a lock: one call at a time.
func (f *Faulty) Choose(choose func(Operation, world.ShardID) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choose = choose
}

// Random chooses faults by the chances given, each 0..1.
func (f *Faulty) Random(r *rand.Rand, loseCall, loseReply float64) {
	f.Choose(func(Operation, world.ShardID) Fault {
		switch drawn := r.Float64(); {
		case drawn < loseCall:
			return LoseCall
		case drawn < loseCall+loseReply:
			return LoseReply
		}
		return None
	})
}

// SetUnavailable makes all calls from now on get lost, or ends that.
func (f *Faulty) SetUnavailable(unavailable bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unavailable = unavailable
}

// Hold makes calls of an operation wait before they reach the store, until
// release is called or their context ends (which loses the call).
func (f *Faulty) Hold(operation Operation) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gate := make(chan struct{})
	f.held[operation] = gate
	var once sync.Once
	return func() {
		once.Do(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.held[operation] == gate {
				delete(f.held, operation)
			}
			close(gate)
		})
	}
}

// Lost is how many calls and replies were lost so far.
func (f *Faulty) Lost() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// around runs call with the fault that is due.
func (f *Faulty) around(ctx context.Context, operation Operation, shard world.ShardID, call func() error) error {
	fault, gate := f.due(operation, shard)
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return fmt.Errorf("%s of shard %v: %w: %w", operation, shard, world.ErrUnavailable, ctx.Err())
		}
	}
	if fault != LoseCall {
		err := call()
		if fault == None {
			return err
		}
	}
	return fmt.Errorf("%s of shard %v: %w: lost by the test", operation, shard, world.ErrUnavailable)
}

func (f *Faulty) due(operation Operation, shard world.ShardID) (fault Fault, gate chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch planned := f.planned[operation]; {
	case f.unavailable:
		fault = LoseCall
	case len(planned) > 0:
		fault, f.planned[operation] = planned[0], planned[1:]
	case f.choose != nil:
		fault = f.choose(operation, shard)
	}
	if fault != None {
		f.lost++
	}
	return fault, f.held[operation]
}

// Claim implements world.Log.
func (f *Faulty) Claim(ctx context.Context, shard world.ShardID, owner string, claim uint64, atLeast uint32) (tail world.Tail, err error) {
	var got world.Tail
	err = f.around(ctx, Claim, shard, func() (err error) {
		got, err = f.log.Claim(ctx, shard, owner, claim, atLeast)
		return err
	})
	if err != nil {
		return world.Tail{}, err
	}
	return got, nil
}

// Append implements world.Log.
func (f *Faulty) Append(ctx context.Context, shard world.ShardID, expect world.Tail, batch []byte) (world.Tail, error) {
	var got world.Tail
	err := f.around(ctx, Append, shard, func() (err error) {
		got, err = f.log.Append(ctx, shard, expect, batch)
		return err
	})
	if err != nil {
		return world.Tail{}, err
	}
	return got, nil
}

// Submit implements world.Appender, by Append: the same faults befall it.
func (f *Faulty) Submit(a *world.Append) {
	go func() {
		if a.Sealed(true) != world.Sealed {
			return
		}
		_, err := f.Append(context.Background(), a.Shard, a.Expect, a.Batch)
		a.End(err)
	}()
}

// Tail implements world.Log.
func (f *Faulty) Tail(ctx context.Context, shard world.ShardID) (world.Holder, error) {
	var got world.Holder
	err := f.around(ctx, Tail, shard, func() (err error) {
		got, err = f.log.Tail(ctx, shard)
		return err
	})
	if err != nil {
		return world.Holder{}, err
	}
	return got, nil
}

// Read implements world.Log.
func (f *Faulty) Read(ctx context.Context, shard world.ShardID, from uint64, limit int) ([]world.Entry, error) {
	var got []world.Entry
	err := f.around(ctx, Read, shard, func() (err error) {
		got, err = f.log.Read(ctx, shard, from, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// WriteSnapshot implements world.Log.
func (f *Faulty) WriteSnapshot(ctx context.Context, shard world.ShardID, expect world.Tail, at uint64, data []byte, keep uint64) error {
	return f.around(ctx, WriteSnapshot, shard, func() error {
		return f.log.WriteSnapshot(ctx, shard, expect, at, data, keep)
	})
}

// Snapshot implements world.Log.
func (f *Faulty) Snapshot(ctx context.Context, shard world.ShardID) (at uint64, data []byte, err error) {
	err = f.around(ctx, Snapshot, shard, func() (err error) {
		at, data, err = f.log.Snapshot(ctx, shard)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	return at, data, nil
}

// Release implements world.Log.
func (f *Faulty) Release(ctx context.Context, shard world.ShardID, expect world.Tail) error {
	return f.around(ctx, Release, shard, func() error {
		return f.log.Release(ctx, shard, expect)
	})
}

// Shards implements world.Log.
func (f *Faulty) Shards(ctx context.Context, each func(world.ShardID) error) error {
	return f.around(ctx, Shards, world.ShardID{}, func() error {
		return f.log.Shards(ctx, each)
	})
}

// Durability implements world.Log.
func (f *Faulty) Durability() world.Durability { return f.log.Durability() }

// Close implements world.Log.
func (f *Faulty) Close() error { return f.log.Close() }
