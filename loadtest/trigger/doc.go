// Package trigger is the load test of the trigger: records that fall due by the
// processor's clock, 40 million a second if asked to, over arenas filled beforehand.
// No producer is in the way, so that what is measured is the scheduler, the function
// and the machine.
//
// The pollers run in a process of their own, without collections. In turns with the
// network an empty function runs under the same schedule: what it misses is the
// machine's own floor, measured in the same run before and after each part.
package trigger
