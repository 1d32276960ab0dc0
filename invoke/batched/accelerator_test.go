package batched

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// accelerator is a simulated device: a fixed cost for each launch, a cost per item,
// jitter, and spells in which it is slow.
type accelerator struct {
	launch, perItem time.Duration
	jitter          float64 // log-normal, sigma
	slow            func(now invoke.Instant) float64
	random          *rand.Rand
}

func (a *accelerator) exact(n int) time.Duration { return a.launch + time.Duration(n)*a.perItem }

func (a *accelerator) run(now invoke.Instant, n int) time.Duration {
	took := float64(a.exact(n))
	if a.slow != nil {
		took *= a.slow(now)
	}
	if a.jitter > 0 {
		took *= math.Exp(a.jitter * a.random.NormFloat64())
	}
	return time.Duration(took)
}

// arrival is one that the simulation submits.
type arrival struct {
	at, deadline invoke.Instant // deadline 0: the contract's
	fn           *Function
	sender       uint64
}

// fate is what became of an arrival.
type fate struct {
	arrival
	inv            *Invocation
	ran, refused   int
	reason         invoke.Reason
	started, ended invoke.Instant
}

func (f *fate) missed() bool { return f.ran == 0 || f.ended > f.inv.Deadline }

// simulation drives a Policy and an accelerator in virtual time as Device does: Next
// only when it is free and something presses or the time that Next gave has come.
type simulation struct {
	policy  *Policy
	device  *accelerator
	late    time.Duration // of timers
	check   func(now invoke.Instant, batch *Batch)
	batches []int
	// sacrificed counts batches.
	sacrificed int

	batch, swept Batch
	ends, again  invoke.Instant
	busy         bool
	fates        map[*Invocation]*fate
}

func (s *simulation) run(arrivals []arrival) []*fate {
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return int(a.at - b.at) })
	s.fates = map[*Invocation]*fate{}
	var all []*fate
	s.again = math.MaxInt64
	now := s.policy.now
	const never = math.MaxInt64
	for i := 0; ; {
		next := invoke.Instant(never)
		if i < len(arrivals) {
			next = arrivals[i].at
		}
		if s.busy {
			next = min(next, s.ends, now.Add(sweepEvery))
		} else if s.again != never {
			next = min(next, s.again.Add(s.late))
		}
		if next == never {
			return all
		}
		now = max(now, next)
		if s.busy && now >= s.ends {
			s.finish(now)
		}
		pressing := false
		for ; i < len(arrivals) && arrivals[i].at <= now; i++ {
			f := &fate{arrival: arrivals[i], inv: &Invocation{}}
			f.inv.Deadline, f.inv.Sender = f.deadline, f.sender
			all = append(all, f)
			s.fates[f.inv] = f
			presses, refusal := s.policy.Submit(now, f.fn, f.inv)
			if refusal != nil {
				f.refused++
				f.reason = refusal.Reason
			}
			pressing = pressing || presses
		}
		if s.busy {
			s.policy.Expire(now, &s.swept)
			s.refuse(&s.swept)
		} else if pressing || now >= s.again {
			s.next(now)
		}
	}
}

func (s *simulation) next(now invoke.Instant) {
	launched, again := s.policy.Next(now, &s.batch)
	s.refuse(&s.batch)
	if s.again = again; !launched {
		return
	}
	if s.check != nil {
		s.check(now, &s.batch)
	}
	n := len(s.batch.Items)
	s.busy, s.ends = true, now.Add(s.device.run(now, n))
	s.batches = append(s.batches, n)
	if s.batch.Sacrificed {
		s.sacrificed++
	}
	for i := range s.batch.Items {
		f := s.fates[s.batch.Items[i].Invocation]
		f.ran++
		f.started, f.ended = now, s.ends
	}
}

func (s *simulation) finish(now invoke.Instant) {
	s.busy = false
	s.policy.Finished(now, &s.batch)
	s.again = now
}

func (s *simulation) refuse(b *Batch) {
	for i := range b.Refused {
		f := s.fates[b.Refused[i].Invocation]
		f.refused++
		f.reason = b.Refused[i].Refusal.Reason
	}
}
