package invoke

// KeyOptions configure a set of keys.
type KeyOptions struct {
	// AfterRun is called by the worker when it leaves a key, after a run of
	// consecutive invocations and still inside the key's exclusivity. May be nil.
	AfterRun func(*Key)
	// MaxRun is the most invocations in one run. Default 64.
	MaxRun int
}

// Keys is a set of keys that functions share.
type Keys struct {
	name      string
	options   KeyOptions
	scheduler *Scheduler
}

// Key serialises the invocations that name it.
type Key struct {
	keys       *Keys
	value      any
	head, tail *Invocation
	queued     bool
	running    bool
	closed     bool
}

// Open makes a key for value. Opening the same value twice makes two keys.
func (k *Keys) Open(value any) *Key { return &Key{keys: k, value: value} }

// Value returns what the key was opened with.
func (k *Key) Value() any { return k.value }
