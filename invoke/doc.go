// Package invoke is the core invocation scheduler. Functions are deployed with a
// Contract (guaranteed rate and burst, deadline, run time, memory); a Scheduler
// admits a function only if it can hold its contract together with all others,
// runs invocations on a fixed number of workers, refuses at once what it cannot
// serve in time, and keeps account.
//
// # Shapes
//
// Invocations of a unary function are independent. Those of a keyed function name
// a Key: one runs at a time per key, in the order in which they were submitted.
// Functions that share a set of Keys exclude each other per key. A worker takes
// several invocations of a key in one run and calls KeyOptions.AfterRun when it
// leaves the key.
//
// # Other shapes
//
// The packages below this one make functions of three more shapes, which share the
// machine, the contracts and the accounts with those of the scheduler:
//
//   - invoke/batched: as many invocations at once as their deadlines allow, on a device;
//   - invoke/stream: a poller that owns a ring of records;
//   - invoke/workflow: a graph of functions with one deadline.
//
// This package imports none of them. What runs on the workers is deployed as any
// function, with Spec.As naming the shape that accounts tell: it is admitted, queued and
// metered like the rest. What runs elsewhere (a goroutine with its own thread, a
// device) asks Scheduler.Reserve for cores and memory: it is refused with the arithmetic
// if they cannot be kept beside all other contracts, it lowers what the workers
// count on from then on, and Reserve.Account makes its account part of
// Scheduler.Accounts, so of metrics, `starling functions` and the page of `dev`.
// Functions that a graph runs fused reserve with PartOf: an account of their own, nothing
// kept twice. Reservation.Release is their Undeploy. NewRefusal, TokenBucket and
// Histogram are what such packages need to refuse, to tell what is within a
// guarantee and to keep an account.
//
// # Order
//
// An arrival is within its function's guarantee if the contract's token bucket has
// a token for it. What is within goes first, earliest deadline first, a key by the
// deadline of its head. What exceeds a guarantee, and best effort, takes what is
// left, by deadline too (without one: by the instant at which the queue's age bound
// is reached), so that no worker idles while there is work that it may take. What stands behind
// excess work in its key shares its fate.
//
// # Isolation
//
// Functions whose runs are long (Config.LongRun) never occupy the workers reserved
// for short ones (Config.ShortWorkers), even when those idle; or have workers of
// their own beside them (Config.LongWorkers), and yield. Queues are bounded in
// count and age per function, with places kept for guaranteed arrivals, and a
// sender may hold at most as many places as are free. A function that runs longer
// than it declared pays with its guarantee.
//
// # Structure
//
// Policy decides: a state machine without clock, lock or goroutine, in the manner of
// etcd's raft. Scheduler is a thin shell around it: one lock, worker goroutines, and
// a timer that is armed only while work waits and every worker is busy. The lock is
// never held while Run, Refused or AfterRun are called, so these may call back into
// the scheduler. Submitting and running allocate nothing.
package invoke
