package invoke

// Invocation is one call of a function. The caller fills in the exported fields,
// all of them anew for each use, and hands it to Function.Submit; from then on it
// belongs to the scheduler until Run or Refused is called with it, or Submit has
// returned a refusal. Then it is the caller's again and may be reused at once,
// even inside Run. It must not be copied while it is submitted. The zero value is
// ready to use.
type Invocation struct {
	// Key is required for keyed functions and nil for unary ones.
	Key *Key
	// Sender is whom fairness is kept for, any stable number; 0 is exempt.
	Sender uint64
	// Arrived is when the action came in, possibly before Submit and in another
	// process (now minus its age). Submit replaces 0 by now.
	Arrived Instant
	// Deadline is when the result is due. Submit replaces 0 by Arrived plus the
	// contract's deadline, if it has one.
	Deadline Instant
	// Payload is the caller's; the scheduler never looks at it. A pointer
	// here costs no allocation.
	Payload any

	fn        *Function
	submitted Instant
	expires   Instant // after this it is refused instead of run
	place     place   // due and seq always, the heap if unary

	guaranteed bool // within the contract
	privileged bool // goes before what is not; see Policy.privilege
	tooLate    bool // what expires is the hard deadline, not the age

	next                   *Invocation // behind it in its key
	urgentNext, urgentPrev *Invocation // see Key.urgentFirst
}

// Child prepares child to be submitted as part of the work of inv: it takes
// over the deadline, so that a chain of invocations has one end-to-end deadline,
// and the sender. It arrives when it is submitted. Call it while inv runs. A
// running invocation must not wait for its child: it would hold its worker (and
// key) while the child may need it.
func (inv *Invocation) Child(child *Invocation) *Invocation {
	child.Sender = inv.Sender
	child.Arrived = 0
	child.Deadline = inv.Deadline
	return child
}
