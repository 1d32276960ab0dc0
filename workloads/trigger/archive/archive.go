package archive

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sync says when frames are forced to the disk.
type Sync uint8

const (
	// SyncInterval forces them every Options.Interval: a crash of the machine loses
	// at most what came since. The default.
	SyncInterval Sync = iota
	// SyncEach forces each before Append returns.
	SyncEach
	// SyncNever leaves it to the operating system.
	SyncNever
)

// Options configure an Archive. The zero value is usable.
type Options struct {
	// SegmentBytes is from which size on a new segment is begun. Default 64 MiB.
	SegmentBytes int64
	// TotalBytes bounds all segments together. Default 1 GiB.
	TotalBytes int64
	// DropOldest deletes the oldest segment when the bound is reached; otherwise
	// what comes is refused with a *FullError.
	DropOldest bool
	// Sync says when frames are forced to the disk, Interval how often. Default 1 s.
	Sync     Sync
	Interval time.Duration
	// Patience is how long Close waits for a disk that does not answer. Default 5 s.
	Patience time.Duration

	create func(name string) (file, error)
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.TotalBytes <= 0 {
		o.TotalBytes = 1 << 30
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.create == nil {
		o.create = func(name string) (file, error) {
			return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		}
	}
	return o
}

// file is an *os.File.
type file interface {
	Write([]byte) (int, error)
	WriteAt([]byte, int64) (int, error)
	Truncate(int64) error
	Sync() error
	Close() error
	Name() string
}

// BlockedError says that the disk had not answered when Close gave up waiting: what was
// appended since the last sync may be lost if the machine ends.
type BlockedError struct{ Waited time.Duration }

func (e *BlockedError) Error() string {
	return fmt.Sprintf("archive: closed, but the disk has not answered for %v", e.Waited)
}

// FullError says that the archive holds as much as it may.
type FullError struct{ Bytes, Bound int64 }

func (e *FullError) Error() string {
	return fmt.Sprintf("archive: full: %d bytes of at most %d", e.Bytes, e.Bound)
}

// TooLargeError says that a payload is longer than MostFrame, or empty.
type TooLargeError struct{ Bytes int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("archive: a payload of %d bytes: want 1 to %d", e.Bytes, MostFrame)
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("archive: closed")

// Stats is what an archive did since it was opened.
type Stats struct {
	Frames, FrameBytes uint64
	// Dropped is how many segments were deleted for new ones.
	Dropped uint64
	// Syncs is how often a segment was forced to the disk, SyncFailures how often
	// that failed.
	Syncs, SyncFailures uint64
	// Bytes is what all segments hold.
	Bytes int64
}

// Archive appends to the segments in a folder. One process at a time may do so.
type Archive struct {
	folder  string
	options Options
	stop    chan struct{}
	syncing sync.WaitGroup

	closed  atomic.Bool
	closing sync.Once
	ended   chan struct{} // closed once failure says what became of closing
	failure error

	mu       sync.Mutex // guards what follows; held while the disk is written to
	segments []segment  // oldest first, the last is open
	file     file
	unsynced bool
	buffer   []byte
	counts   struct {
		sync.Mutex // never held for long
		Stats
	}
}

// count changes the stats.
func (a *Archive) count(change func(*Stats)) {
	a.counts.Lock()
	change(&a.counts.Stats)
	a.counts.Unlock()
}

type segment struct {
	number uint64
	bytes  int64
}

// Open makes the folder if needed and begins a new segment behind those in it.
func Open(folder string, options Options) (*Archive, error) {
	a := &Archive{folder: folder, options: options.withDefaults(), stop: make(chan struct{}), ended: make(chan struct{})}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	for _, entry := range entries {
		number, ok := segmentNumber(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("archive: %w", err)
		}
		a.segments = append(a.segments, segment{number, info.Size()})
		a.counts.Bytes += info.Size()
	}
	slices.SortFunc(a.segments, func(x, y segment) int { return cmp.Compare(x.number, y.number) })
	if err := a.begin(); err != nil {
		return nil, err
	}
	if a.options.Sync == SyncInterval {
		a.syncing.Go(a.syncAlways)
	}
	return a, nil
}

// begin ends the open segment and begins the next. The lock is held, or not needed
// yet.
func (a *Archive) begin() error {
	number := uint64(0)
	if n := len(a.segments); n > 0 {
		number = a.segments[n-1].number + 1
	}
	file, err := a.options.create(filepath.Join(a.folder, segmentName(number)))
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if _, err := file.Write(header(number, time.Now().UnixNano())); err != nil {
		return errors.Join(fmt.Errorf("archive: %w", err), file.Close(), os.Remove(file.Name()))
	}
	if a.file != nil {
		if a.options.Sync != SyncNever {
			a.force()
		}
		_ = a.file.Close() // all of it was written, and forced if it is to be
	}
	a.file, a.unsynced = file, true
	a.segments = append(a.segments, segment{number, int64(headerSize)})
	a.count(func(s *Stats) { s.Bytes += int64(headerSize) })
	return nil
}

// Append writes a frame. The errors are *FullError, *TooLargeError, ErrClosed, or what
// the file system says; then nothing was added, but for a frame that could not be
// forced to the disk. A disk that does not answer keeps it, and those behind it, waiting.
func (a *Archive) Append(payload []byte) error {
	if len(payload) == 0 || len(payload) > MostFrame {
		return &TooLargeError{len(payload)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		return ErrClosed
	}
	if err := a.makeRoom(int64(frameSize + len(payload))); err != nil {
		return err
	}
	open := &a.segments[len(a.segments)-1]
	a.buffer = appendFrame(a.buffer[:0], payload)
	if _, err := a.file.WriteAt(a.buffer, open.bytes); err != nil {
		_ = a.file.Truncate(open.bytes) // else the next frame overwrites it
		return fmt.Errorf("archive: %w", err)
	}
	open.bytes += int64(len(a.buffer))
	a.count(func(s *Stats) {
		s.Bytes += int64(len(a.buffer))
		s.Frames++
		s.FrameBytes += uint64(len(a.buffer))
	})
	a.unsynced = true
	if a.options.Sync == SyncEach {
		return a.force()
	}
	return nil
}

// makeRoom drops old segments or refuses, and begins a new segment when it is time.
func (a *Archive) makeRoom(bytes int64) error {
	need := bytes
	turn := a.segments[len(a.segments)-1].bytes >= a.options.SegmentBytes
	if turn {
		need += int64(headerSize)
	}
	for bytes := a.Stats().Bytes; bytes+need > a.options.TotalBytes; bytes = a.Stats().Bytes {
		if !a.options.DropOldest || len(a.segments) < 2 {
			return &FullError{bytes, a.options.TotalBytes}
		}
		if err := os.Remove(filepath.Join(a.folder, segmentName(a.segments[0].number))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("archive: %w", err)
		}
		a.count(func(s *Stats) {
			s.Bytes -= a.segments[0].bytes
			s.Dropped++
		})
		a.segments = a.segments[1:]
	}
	if turn {
		return a.begin()
	}
	return nil
}

// force brings what was written to the disk.
func (a *Archive) force() error {
	if !a.unsynced {
		return nil
	}
	if err := a.file.Sync(); err != nil {
		a.count(func(s *Stats) { s.SyncFailures++ })
		return fmt.Errorf("archive: %w", err)
	}
	a.unsynced = false
	a.count(func(s *Stats) { s.Syncs++ })
	return nil
}

// syncAlways forces every interval; appends go on meanwhile.
func (a *Archive) syncAlways() {
	ticker := time.NewTicker(a.options.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-ticker.C:
		}
		a.mu.Lock()
		file, due := a.file, a.unsynced
		a.unsynced = false
		a.mu.Unlock()
		if !due {
			continue
		}
		err := file.Sync()
		a.mu.Lock()
		switch {
		case err == nil:
			a.count(func(s *Stats) { s.Syncs++ })
		case !errors.Is(err, os.ErrClosed): // a segment that ended was forced then
			a.count(func(s *Stats) { s.SyncFailures++ })
			a.unsynced = true
		}
		a.mu.Unlock()
	}
}

// Stats tells what was done, also while the disk does not answer.
func (a *Archive) Stats() Stats {
	a.counts.Lock()
	defer a.counts.Unlock()
	return a.counts.Stats
}

// Close forces what was written to the disk and ends the open segment. The error is a
// *BlockedError if the disk does not answer within Options.Patience, then it is ended
// as soon as the disk does, or what the file system says.
func (a *Archive) Close() error {
	a.closing.Do(func() {
		a.closed.Store(true)
		close(a.stop)
		go a.end()
	})
	patience := time.NewTimer(a.options.Patience)
	defer patience.Stop()
	select {
	case <-a.ended:
		return a.failure
	case <-patience.C:
		return &BlockedError{a.options.Patience}
	}
}

func (a *Archive) end() {
	a.mu.Lock()
	a.unsynced = true
	a.failure = errors.Join(a.force(), a.file.Close())
	a.mu.Unlock()
	a.syncing.Wait()
	close(a.ended)
}
