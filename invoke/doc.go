// Package invoke is the core invocation scheduler: functions are deployed with a
// contract, and their invocations run on a fixed number of workers, earliest
// deadline first.
package invoke
