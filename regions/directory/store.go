package directory

import "context"

// Listing is the table as a store holds it.
type Listing struct {
	Records []*Record
	// Drains names the processes that an operator wants drained, with the
	// incarnation that is meant: a process that starts again under the same id
	// starts undrained.
	Drains map[string]uint64
}

// Store keeps the table. It holds no time and no expiry: who is alive is judged
// by the readers. A call that returned an error may have taken effect. Methods
// may be called from many goroutines.
type Store interface {
	// Beat writes own (nil: nothing) and then reads everything, in one round trip.
	Beat(ctx context.Context, own *Record) (Listing, error)
	// Remove deletes the record of a process if it has this incarnation and
	// counter, together with a drain that meant it.
	Remove(ctx context.Context, id string, incarnation, counter uint64) error
	// SetDrain says whether an operator wants the process drained.
	SetDrain(ctx context.Context, id string, incarnation uint64, drain bool) error
	// Complete says that a process without a record does not exist: true only
	// where the store ends with its users.
	Complete() bool
	// Close frees what the store holds.
	Close() error
}
