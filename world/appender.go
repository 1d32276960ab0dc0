package world

// Appender is a Log that appends for many shards without a goroutine that waits
// for each: what comes together shares a round trip or a transaction, and its
// outcomes are told together.
type Appender interface {
	Log
	// Submit begins an append and returns at once. Done is called once for it,
	// possibly before Submit returns. Appends of different shards end in any order.
	Submit(*Append)
}

// Append is one append under way. It belongs to the log from Submit until Done
// is called with it; then it may be used again.
type Append struct {
	Shard  ShardID
	Expect Tail
	Batch  []byte // not to be changed before Done
	// Seal, if not nil, fills in Expect and Batch. The log calls it as late as it
	// can, when it begins to write, so that what comes while an append waits for its
	// turn goes with it. wait says whether it may wait for what it needs; otherwise
	// others wait with it, and it says NotYet instead. Once it said Sealed it goes on
	// doing so until Done. It is called without locks of the log.
	Seal func(a *Append, wait bool) Sealing
	// Done is told how it ended. It runs on a goroutine that other shards wait
	// for: it must not block. It may call Submit.
	Done func(*Append)
	// Err is what Log.Append would have returned. Valid from Done on.
	Err error
}

// Sealing is what came of asking for a batch.
type Sealing uint8

const (
	// Sealed: Expect and Batch are what to append.
	Sealed Sealing = iota
	// NotYet: to be asked for again, by somebody who can wait.
	NotYet
	// Withdrawn: there is nothing to append. The Append is its owner's again,
	// and Done is not called.
	Withdrawn
)

// Sealed asks for the batch. For implementations, before they look at it.
func (a *Append) Sealed(wait bool) Sealing {
	if a.Seal == nil {
		return Sealed
	}
	return a.Seal(a, wait)
}

// End calls Done with an error, or nil. For implementations.
func (a *Append) End(err error) {
	a.Err = err
	a.Done(a)
}
