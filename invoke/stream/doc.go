// Package stream runs functions over streams of small records for which a queue
// operation per record is already too dear: the shape Stream of package invoke.
//
// A poller owns a ring of records of one size and runs to completion: it
// looks how many are due, hands so many to the kernel that suits their number,
// reads the clock once, and looks again. Nothing is allocated, and nothing but
// arithmetic is done per record.
//
//   - Records lie in an Arena. A Schedule lets them fall due by the clock; a Ring brings
//     them from one producer, which writes them where they are read.
//   - A Program is a ladder of kernels. What each costs is measured when the function is
//     deployed; for each number of records due the poller knows which kernel to begin
//     with so that all are done soonest. Swap puts another Program, with new weights,
//     in its place between two batches.
//   - Deadlines are accounted for in clock ticks, from when a record was due to when
//     the batch it was in was decided.
//   - An Outlet leads sampled or selected records to an ordinary function of the scheduler
//     by a ring that loses what does not fit: the poller waits for nobody.
//   - A kernel that panics ends its batch with a *PanicError; the poller goes on. One that
//     hangs shows in Stats.Stuck, and Close leaves it with a *HungError.
//
// A Pinned poller spins on a core of its own. A Yielding one sleeps until shortly
// before the next record, having learned how late it wakes up, and otherwise lets
// other threads of its core go first; it cannot hold limits shorter than what those
// then take. Each poller also keeps one of the Go scheduler's threads busy, so
// GOMAXPROCS must exceed their number. Limits of microseconds want a process without
// collections (GOGC=off); there pinned pollers are not preempted either.
package stream
