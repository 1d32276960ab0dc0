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
	// Done is told how it ended. It runs on a goroutine that other shards wait
	// for: it must not block. It may call Submit.
	Done func(*Append)
	// Err is what Log.Append would have returned. Valid from Done on.
	Err error
}

// End calls Done with an error, or nil. For implementations.
func (a *Append) End(err error) {
	a.Err = err
	a.Done(a)
}
