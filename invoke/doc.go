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
// for short ones (Config.ShortWorkers), even when those idle. Queues are bounded in
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
