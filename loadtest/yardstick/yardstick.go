// Package yardstick is the least that a server of Starling's crowds can be: a
// bare broadcast loop. It reads an action, looks up who watches the actor's cell,
// and writes to each of them: no authentication, no rules, no log, no scheduler,
// one encoding for each update and one write for each receiver (to the actor the
// outcome goes with the update). It speaks the client protocol just far enough
// that the load tester drives it as it drives Starling.
//
// What a loopback write costs differs by a factor of three between machines, and
// writes are nearly all that a broadcast costs. So figures of Starling compare
// between machines only as ratios to this loop's on the same machine.
//
// It trusts its clients: it is for load tests on one's own machine.
package yardstick

import (
	"fmt"
	"time"
)

// Options of a yardstick. A zero field takes the default that is named.
type Options struct {
	Pollers    int           // threads that read and write, each with the connections of its cells; default DefaultPollers
	Wait       time.Duration // from the first thing that a connection is to be told until it is written, with what joined it meanwhile; 0: at once
	Congestion string        // TCP congestion control of the connections, "": the system's; one that the kernel lacks is ignored
}

// DefaultPollers is how many threads a yardstick has.
const DefaultPollers = 2

// Bounds of options.
const (
	maxPollers = 64
	maxWait    = time.Second
)

// Validate says what is wrong with options; nil if nothing is.
func (o Options) Validate() error {
	switch {
	case o.Pollers < 0 || o.Pollers > maxPollers:
		return fmt.Errorf("%d pollers: want 1..%d", o.Pollers, maxPollers)
	case o.Wait < 0 || o.Wait > maxWait:
		return fmt.Errorf("a wait of %v: want 0..%v", o.Wait, maxWait)
	}
	return nil
}
