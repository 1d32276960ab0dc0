package stream

import (
	"sync/atomic"

	"github.com/starling-vr/starling/invoke"
)

// Outlet leads records out of a stream to an ordinary function. The poller copies
// them into a side ring and goes on; each becomes an invocation of its own, with
// its account. Where the side ring is full, the record is lost to the outlet, and
// counted.
type Outlet struct {
	// To is a function that was deployed with what Receive makes; nil for no outlet.
	To *invoke.Function
	// Slots is how many records each poller may have out at once. Default: what fits
	// into 16 MB, 4 to 1024.
	Slots int
}

// Sample is a record that left a stream, with what was decided of it.
type Sample struct {
	// Record is a copy, until the function that received it returns.
	Record []byte
	// Decision is what the stream's function decided, with the program of Version.
	Decision Decision
	Version  uint64
	// Due is when the record was due.
	Due invoke.Instant
	// Poller and Sequence say which record it was.
	Poller   int
	Sequence uint64

	due        uint64 // in ticks
	state      atomic.Uint32
	side       *side
	invocation invoke.Invocation
}

// The states of a Sample. Only the poller fills what is free, only the drainer takes
// what is full; whoever ends the invocation frees it.
const (
	free uint32 = iota
	full
	out
)

// Receive makes a function out of run that takes the samples of an Outlet. A run that
// panics ends as a *PanicError at the stream's Failed, and others go on.
func Receive(spec invoke.Spec, run func(*Sample)) invoke.Spec {
	spec.Run = func(inv *invoke.Invocation) {
		s := inv.Payload.(*Sample)
		defer s.end()
		run(s)
	}
	spec.Refused = func(inv *invoke.Invocation, _ *invoke.Refusal) {
		s := inv.Payload.(*Sample)
		s.side.refused.Add(1)
		s.state.Store(free)
	}
	return spec
}

// end frees the sample after its run, however that ended.
func (s *Sample) end() {
	side := s.side
	if v := recover(); v != nil {
		side.failed.Add(1)
		side.function.report(func() error {
			return newPanicError(side.outlet.To.Name(), s.Version, 0, s.Sequence, 1, v)
		})
	} else {
		side.done.Add(1)
	}
	s.state.Store(free)
}

// side is the ring between a poller and an outlet.
type side struct {
	outlet   Outlet
	function *Function
	samples  []Sample

	fill  uint64 // the poller's: which sample comes next
	drain uint64 // the drainer's

	done, failed, refused atomic.Uint64
}

const (
	sideBytes = 16 << 20
	mostSlots = 1024
)

func newSide(f *Function, outlet Outlet, poller, size int) *side {
	if outlet.To == nil {
		return nil
	}
	if outlet.Slots <= 0 {
		outlet.Slots = min(max(sideBytes/size, 4), mostSlots)
	}
	s := &side{outlet: outlet, function: f, samples: make([]Sample, outlet.Slots)}
	memory := make([]byte, outlet.Slots*size)
	for i := range s.samples {
		one := &s.samples[i]
		one.Record = memory[i*size : (i+1)*size : (i+1)*size]
		one.Poller, one.side = poller, s
	}
	return s
}

// offer copies a record into the ring; false if there is no room. The poller's.
func (s *side) offer(ref Ref, decision Decision, due, sequence, version uint64) bool {
	one := &s.samples[s.fill]
	if one.state.Load() != free {
		return false
	}
	copy(one.Record, ref.Bytes(len(one.Record)))
	one.Decision, one.due, one.Sequence, one.Version = decision, due, sequence, version
	one.state.Store(full)
	if s.fill++; s.fill == uint64(len(s.samples)) {
		s.fill = 0
	}
	return true
}

// pass submits what is in the ring; false if the drainer's goroutine, whose it is, was
// replaced meanwhile.
func (s *side) pass(d *drainer) bool {
	for range s.samples {
		one := &s.samples[s.drain]
		if one.state.Load() != full {
			return true
		}
		if s.drain++; s.drain == uint64(len(s.samples)) {
			s.drain = 0
		}
		one.state.Store(out)
		one.Due = s.function.clock.Instant(one.due)
		inv := &one.invocation
		inv.Key, inv.Sender, inv.Arrived, inv.Deadline, inv.Payload = nil, 0, one.Due, 0, one
		call := d.leave()
		if s.outlet.To.SubmitLending(inv) != nil {
			s.refused.Add(1)
			one.state.Store(free)
		}
		if !d.back(call) {
			return false
		}
	}
	return true
}
