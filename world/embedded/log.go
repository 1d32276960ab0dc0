// Package embedded is a world.Log in one file beside the process, over bbolt.
// It serves a single process: a lock on the file keeps others out.
//
// Durability levels:
//   - world.DurabilityDisk: an append returns once its transaction is synced.
//     Appends of all shards that wait while one is being synced share the next.
//   - world.DurabilityMemory: an append returns once its transaction is written
//     to the operating system's cache. It survives the process being killed. When
//     the host is lost, so may be everything: Open then refuses the file.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/starling-vr/starling/world"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// FileName is the file in Config.Directory that everything is kept in.
const FileName = "world.db"

// Config says where the log is and what a commit means.
type Config struct {
	// Directory holds the file; it is made if missing. It must be on a local
	// file system: locks and syncs of network file systems are not to be relied on.
	Directory string
	// Durability is DurabilityMemory or DurabilityDisk.
	Durability world.Durability
	// LockTimeout is how long Open waits for another process to let go of the
	// file. Default 1 s: a process that restarts meets the one before.
	LockTimeout time.Duration
	// Interval is the least time from one transaction to the next while appends
	// keep coming; the first after a pause is written at once. A transaction
	// costs 30-70 us of processor time for each shard in it whatever its size:
	// shorter means more of them, longer means later commits. Default 1 ms at
	// DurabilityMemory, none at DurabilityDisk, where the disk sets the pace.
	// Negative means none.
	Interval time.Duration
}

// defaultInterval of DurabilityMemory.
const defaultInterval = time.Millisecond

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	if c.LockTimeout <= 0 {
		c.LockTimeout = time.Second
	}
	if c.Interval == 0 && c.Durability == world.DurabilityMemory {
		c.Interval = defaultInterval
	}
	return c
}

// Log is a world.Log. It keeps in memory who holds each shard and how far it is
// (some 100 bytes a shard), and everything else in the file.
type Log struct {
	db         *bbolt.DB
	durability world.Durability
	interval   time.Duration
	marker     marker

	unused   sync.Pool // of *request
	requests chan *request
	closing  chan struct{}
	stopped  chan struct{}
	close    func() error

	submitting sync.Mutex // guards submitted and shutting
	submitted  []*world.Append
	taken      []*world.Append // scratch of the writer
	shutting   bool
	wake       chan struct{} // something was submitted, after nothing was

	mu     sync.RWMutex // guards heads and broken
	heads  map[world.ShardID]head
	broken error // why nothing more is written
}

var _ world.Appender = (*Log)(nil)

// initialMap is how much of the address space is mapped at first: a file that
// outgrows its mapping makes writers wait for readers.
const initialMap = 1 << 30

// Open opens the log in a directory, or begins one.
func Open(config Config) (*Log, error) {
	if config.Durability != world.DurabilityMemory && config.Durability != world.DurabilityDisk {
		return nil, fmt.Errorf("embedded log: durability %q: want %s or %s (a replica needs Redis)",
			config.Durability, world.DurabilityMemory, world.DurabilityDisk)
	}
	config = config.withDefaults()
	if err := os.MkdirAll(config.Directory, 0o700); err != nil {
		return nil, fmt.Errorf("embedded log: %w", err)
	}
	path := filepath.Join(config.Directory, FileName)
	unsynced := marker{path: path + ".unsynced"}
	if err := unsynced.check(path); err != nil { // before anything reads the file
		return nil, err
	}
	db, err := openFile(path, config)
	if err != nil {
		return nil, err
	}
	l := &Log{
		unused: sync.Pool{New: newRequest},
		db:     db, durability: config.Durability, interval: config.Interval, marker: unsynced,
		requests: make(chan *request, 256), wake: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := l.start(path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l.close = sync.OnceValue(l.shut)
	go l.write()
	return l, nil
}

func openFile(path string, config Config) (*bbolt.DB, error) {
	inMemory := config.Durability == world.DurabilityMemory
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         config.LockTimeout,
		NoSync:          inMemory,
		NoGrowSync:      inMemory,
		NoFreelistSync:  true, // found again when opening; a list written with each commit costs more
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: initialMap,
		NoStatistics:    true,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("embedded log: %s is in use by another process: stop that one, or give this one another data directory", path)
	case err != nil:
		return nil, fmt.Errorf("embedded log: cannot open %s: %w (if it is damaged, restore it from a backup or remove it to begin an empty world)", path, err)
	}
	return db, nil
}

// start prepares the file and reads where the shards stand.
func (l *Log) start(path string) error {
	if err := l.db.Update(prepare); err != nil {
		return fmt.Errorf("embedded log: %s: %w", path, err)
	}
	// Whatever level the file was last used at: it is on disk from here on.
	if err := l.db.Sync(); err != nil {
		return fmt.Errorf("embedded log: %s: %w", path, err)
	}
	if err := l.marker.set(l.durability == world.DurabilityMemory); err != nil {
		return err
	}
	return l.db.View(func(tx *bbolt.Tx) (err error) {
		l.heads, err = readHeads(tx)
		return err
	})
}

// shut runs once.
func (l *Log) shut() error {
	close(l.closing)
	<-l.stopped
	err := l.db.Sync()
	if err == nil {
		err = l.marker.set(false)
	}
	return errors.Join(err, l.db.Close())
}

// Close implements world.Log. At either level everything is on disk after it.
func (l *Log) Close() error { return l.close() }

// Durability implements world.Log.
func (l *Log) Durability() world.Durability { return l.durability }

// Tail implements world.Log.
func (l *Log) Tail(ctx context.Context, shard world.ShardID) (world.Holder, error) {
	h, err := l.head(ctx, shard)
	return h.Holder, err
}

// Read implements world.Log.
func (l *Log) Read(ctx context.Context, shard world.ShardID, from uint64, limit int) ([]world.Entry, error) {
	from = max(from, 1)
	// The file shows a transaction a moment before it is synced: nothing past
	// what was committed is given.
	committed, err := l.head(ctx, shard)
	if err != nil {
		return nil, err
	}
	var entries []world.Entry
	err = l.view(ctx, func(tx *bbolt.Tx) error {
		// Both from the one transaction: a snapshot may drop entries meanwhile.
		h, found := storedHead(tx, shard)
		if !found {
			return nil
		}
		if from <= h.dropped {
			return fmt.Errorf("shard %v from %d: %w", shard, from, world.ErrTruncated)
		}
		if from <= committed.Sequence {
			limit = int(min(uint64(max(limit, 0)), committed.Sequence-from+1))
			entries = readEntries(tx, shard, from, limit)
		}
		return nil
	})
	return entries, err
}

// Snapshot implements world.Log.
func (l *Log) Snapshot(ctx context.Context, shard world.ShardID) (at uint64, data []byte, err error) {
	err = l.view(ctx, func(tx *bbolt.Tx) error {
		h, _ := storedHead(tx, shard)
		at, data = h.snapshotAt, readSnapshot(tx, shard)
		return nil
	})
	return at, data, err
}

// Shards implements world.Log.
func (l *Log) Shards(ctx context.Context, each func(world.ShardID) error) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	l.mu.RLock()
	shards := make([]world.ShardID, 0, len(l.heads))
	for shard := range l.heads {
		shards = append(shards, shard)
	}
	l.mu.RUnlock()
	for _, shard := range shards {
		if err := l.usable(ctx); err != nil {
			return err
		}
		if err := each(shard); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) head(ctx context.Context, shard world.ShardID) (head, error) {
	if err := l.usable(ctx); err != nil {
		return head{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.heads[shard], nil
}

// view runs a read transaction. The slices it gives are the file's: they are to
// be copied.
func (l *Log) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	err := l.db.View(read)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return unavailable(errClosed)
	}
	return err
}

// usable says whether calls may still come.
func (l *Log) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	select {
	case <-l.closing:
		return unavailable(errClosed)
	default:
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.broken != nil {
		return unavailable(l.broken)
	}
	return nil
}

var errClosed = errors.New("the log is closed")

func unavailable(why error) error {
	return fmt.Errorf("%w: %w", world.ErrUnavailable, why)
}
