package archive

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// disk is one that can be made to fail, or not to answer.
type disk struct {
	fails  atomic.Pointer[error]
	blocks atomic.Pointer[chan struct{}]
	writes atomic.Int64 // begun
}

func (d *disk) create(name string) (file, error) {
	if err := d.answer(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	return &diskFile{f, d}, err
}

func (d *disk) answer() error {
	if blocked := d.blocks.Load(); blocked != nil {
		<-*blocked
	}
	if err := d.fails.Load(); err != nil {
		return *err
	}
	return nil
}

func (d *disk) fail(err error) {
	if err == nil {
		d.fails.Store(nil)
		return
	}
	d.fails.Store(&err)
}

// block returns what lets the disk answer again.
func (d *disk) block() (release func()) {
	blocked := make(chan struct{})
	d.blocks.Store(&blocked)
	return func() {
		d.blocks.Store(nil)
		close(blocked)
	}
}

type diskFile struct {
	*os.File
	disk *disk
}

// WriteAt leaves half of what it should write if the disk fails.
func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	f.disk.writes.Add(1)
	if err := f.disk.answer(); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.File.WriteAt(b, at)
}

func (f *diskFile) Sync() error {
	if err := f.disk.answer(); err != nil {
		return err
	}
	return f.File.Sync()
}

// A disk that is full for a while costs what came meanwhile, and nothing else: half a
// frame is no damage to what follows.
func TestADiskThatFailsForAWhile(t *testing.T) {
	folder, d := t.TempDir(), new(disk)
	a := open(t, folder, Options{Sync: SyncNever, SegmentBytes: 200, create: d.create})
	want := 0
	for i := range 60 {
		d.fail(nil)
		if i%3 == 1 {
			d.fail(syscall.ENOSPC)
		}
		err := a.Append([]byte("an event summary"))
		if i%3 == 1 {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want++
	}
	d.fail(nil)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, found := read(t, folder); len(got) != want || found.TornBytes != 0 {
		t.Errorf("%d of %d, %+v", len(got), want, found)
	}
}

// While the disk does not answer, Stats do, and Close gives up with a typed error;
// once it answers what was appended is there.
func TestADiskThatDoesNotAnswer(t *testing.T) {
	folder, d := t.TempDir(), new(disk)
	a := open(t, folder, Options{Interval: time.Millisecond, Patience: 20 * time.Millisecond, create: d.create})
	if err := a.Append([]byte("before")); err != nil {
		t.Fatal(err)
	}
	release := d.block()
	var waiting sync.WaitGroup
	results := make(chan error, 3)
	for range cap(results) {
		waiting.Go(func() { results <- a.Append([]byte("meanwhile")) })
	}
	for d.writes.Load() < 2 {
		runtime.Gosched()
	}
	if s := a.Stats(); s.Frames != 1 {
		t.Errorf("%+v", s)
	}
	var blocked *BlockedError
	for range 2 {
		if err := a.Close(); !errors.As(err, &blocked) {
			t.Error(err)
		}
	}
	release()
	waiting.Wait()
	err := a.Close()
	for errors.As(err, &blocked) {
		err = a.Close()
	}
	if err != nil {
		t.Error(err)
	}
	kept := 1
	for range cap(results) {
		if err := <-results; err == nil {
			kept++
		} else if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if got, found := read(t, folder); len(got) != kept || kept != 2 || found.TornBytes != 0 {
		t.Errorf("%d of %d, %+v", len(got), kept, found)
	}
}

// What could not be forced is told, and tried again.
func TestADiskThatCannotForce(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		a := open(t, folder, Options{Interval: 100 * time.Millisecond, create: d.create})
		if err := a.Append([]byte("event")); err != nil {
			t.Fatal(err)
		}
		d.fail(syscall.EIO)
		<-time.After(250 * time.Millisecond)
		synctest.Wait()
		d.fail(nil)
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if s := a.Stats(); s.SyncFailures != 2 || s.Syncs != 1 {
			t.Errorf("%+v", s)
		}
		d.fail(syscall.EIO)
		if err := a.Close(); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	})
}
