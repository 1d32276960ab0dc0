// Package batched runs invocations together: on a device (an accelerator, or a
// kernel of the processor) for which a batch costs less than its items one by one.
// A Device has one submitter, which has one batch under way at a time. Functions
// are deployed on it with the Contract, and keep the Account, of package invoke.
//
// # What is launched
//
// The largest batch whose predicted end meets the earliest deadline in it that can
// still be met. Items within their guarantee go first, earliest deadline first; what
// exceeds guarantees fills what room is left, as far as it takes no deadline away.
// A batch is cut for the sake of an urgent item unless that costs more deadlines,
// in the queue behind it, than it saves: or a queue of items that are nearly late would be
// worked off in batches of one, and never be. Soft items that are late already fill what
// room is left.
//
// While a deadline allows, and items come often enough for another to be expected, a
// batch that is not full waits for company: until the latest start that the
// model gives, less Config.Slack.
//
// No batch is predicted to run longer than half of the tightest deadline that is
// promised on the device: who comes just behind a launch has the other half. With
// one function, whose largest batch takes T(B) and a single item T(1), no deadline is
// missed that somebody who knows all arrivals in advance would hold with
// 2 T(B) - T(1) to spare, as long as no run takes longer than predicted. (Call t the last launch
// that left nothing due as early waiting, and suppose an item that misses: what ran since then came after t, in full batches,
// which nobody does faster; the two batches at the ends are the difference.)
//
// # How the run time is predicted
//
// By batch size: medians of recent runs of about one size, made monotone, with a robust line (Theil and Sen)
// through them where nothing was seen yet; times the device's present speed, if the last
// runs agree that it changed; times the percentile of what runs took beyond that.
//
// # Structure
//
// Policy decides and Device is a thin shell around it, as in package invoke: one lock,
// one goroutine, and a timer.
package batched
