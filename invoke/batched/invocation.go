package batched

import "github.com/starling-vr/starling/invoke"

// Invocation is one item of a batch. The caller fills in Sender, Arrived, Deadline
// and Payload (Key stays nil), all anew for each use, and hands it to Function.Submit; from
// then on it belongs to the device until Run has returned nil with it in the batch, or
// Failed or Refused is called with it, or Submit has returned a refusal. Then it may be used
// again at once. It must not be copied while it is submitted.
type Invocation struct {
	invoke.Invocation

	submitted  invoke.Instant
	due        invoke.Instant // order in the queue
	expires    invoke.Instant // after this it is refused instead of run
	seq        uint64
	guaranteed bool
	tooLate    bool // what expires is the hard deadline, not the age
}

func (inv *Invocation) before(other *Invocation) bool {
	return inv.due < other.due || inv.due == other.due && inv.seq < other.seq
}

// meets says whether a result at end is in time.
func (inv *Invocation) meets(end invoke.Instant) bool {
	return inv.Deadline == 0 || end <= inv.Deadline
}
