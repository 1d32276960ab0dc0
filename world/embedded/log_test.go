package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/embedded"
	"github.com/starling-vr/starling/world/logtest"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashDirectory) != "" {
		os.Exit(appendUntilKilled())
	}
	goleak.VerifyTestMain(m)
}

// open opens a log that does not pace itself: TestPace looks at that.
func open(t testing.TB, directory string, durability world.Durability) *embedded.Log {
	t.Helper()
	log, err := embedded.Open(embedded.Config{Directory: directory, Durability: durability, Interval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return log
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// exchangeable is a log that can be replaced by an older one under its users.
type exchangeable struct{ world.Appender }

func store(t *testing.T, durability world.Durability) logtest.Store {
	directory := t.TempDir()
	log := &exchangeable{open(t, directory, durability)}
	return logtest.Store{
		Log: log,
		// What a killed process leaves is what the file holds while nothing is under way.
		Reopen: func(t testing.TB) world.Log {
			left := t.TempDir()
			copyFile(t, filepath.Join(directory, embedded.FileName), filepath.Join(left, embedded.FileName))
			directory = left
			return open(t, left, durability)
		},
		Save: func(t testing.TB) func() {
			saved := t.TempDir()
			copyFile(t, filepath.Join(directory, embedded.FileName), filepath.Join(saved, embedded.FileName))
			return func() { log.Appender = open(t, saved, durability) }
		},
	}
}

func TestLog(t *testing.T) {
	for _, durability := range []world.Durability{world.DurabilityMemory, world.DurabilityDisk} {
		t.Run(string(durability), func(t *testing.T) {
			logtest.Run(t, func(t *testing.T) logtest.Store { return store(t, durability) })
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	wants := func(t *testing.T, config embedded.Config, words ...string) {
		t.Helper()
		log, err := embedded.Open(config)
		if err == nil {
			log.Close()
			t.Fatal("opened")
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	}
	t.Run("a level it does not have", func(t *testing.T) {
		wants(t, embedded.Config{Directory: t.TempDir(), Durability: world.DurabilityReplicated}, "replicated", "Redis")
	})
	t.Run("a file in use", func(t *testing.T) {
		directory := t.TempDir()
		open(t, directory, world.DurabilityDisk)
		wants(t, embedded.Config{Directory: directory, Durability: world.DurabilityDisk, LockTimeout: 10 * time.Millisecond},
			"in use by another process", "another data directory")
	})
	t.Run("a directory that is none", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, embedded.Config{Directory: path, Durability: world.DurabilityDisk}, "directory")
	})
	t.Run("a file of something else", func(t *testing.T) {
		directory := t.TempDir()
		path := filepath.Join(directory, embedded.FileName)
		if err := os.WriteFile(path, []byte(strings.Repeat("not a database", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, embedded.Config{Directory: directory, Durability: world.DurabilityDisk}, "remove it")
	})
	t.Run("a later format", func(t *testing.T) {
		directory := t.TempDir()
		open(t, directory, world.DurabilityDisk).Close()
		edit(t, directory, "format", []byte("version"), []byte{0, 0, 0, 9})
		wants(t, embedded.Config{Directory: directory, Durability: world.DurabilityDisk}, "format", "version of Starling")
	})
	t.Run("a damaged record", func(t *testing.T) {
		directory := t.TempDir()
		open(t, directory, world.DurabilityDisk).Close()
		edit(t, directory, "shards", make([]byte, 16), []byte{1, 2, 3})
		wants(t, embedded.Config{Directory: directory, Durability: world.DurabilityDisk}, "damaged", "backup")
	})
}

func edit(t *testing.T, directory, bucket string, key, value []byte) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(directory, embedded.FileName), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put(key, value) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestUnsyncedFileAfterTheHostWentDown(t *testing.T) {
	directory := t.TempDir()
	marker := filepath.Join(directory, embedded.FileName+".unsynced")
	log := open(t, directory, world.DurabilityMemory)
	here, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker is there after a clean close: %v", err)
	}

	// The process was killed, the host is the same: all is there.
	if err := os.WriteFile(marker, here, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, directory, world.DurabilityDisk).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker is there at durability disk: %v", err)
	}

	if err := os.WriteFile(marker, []byte("another run of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, durability := range []world.Durability{world.DurabilityMemory, world.DurabilityDisk} {
		_, err := embedded.Open(embedded.Config{Directory: directory, Durability: durability})
		if err == nil || !strings.Contains(err.Error(), "cannot be trusted") || !strings.Contains(err.Error(), marker) {
			t.Errorf("%s: %v", durability, err)
		}
	}
}

func TestAppendsShareTransactions(t *testing.T) {
	log := open(t, t.TempDir(), world.DurabilityDisk)
	const shards = 32
	var running sync.WaitGroup
	for n := range shards {
		running.Go(func() {
			shard := world.ShardID{Place: world.PlaceID(n + 1)}
			tail, err := log.Claim(t.Context(), shard, "owner", 1, 0)
			for range 30 {
				if err == nil {
					tail, err = log.Append(t.Context(), shard, tail, []byte("batch"))
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if commits := log.Commits(); commits > shards*31/2 {
		t.Errorf("%d commits for %d calls: they do not share", commits, shards*31)
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := embedded.Open(embedded.Config{
			Directory: t.TempDir(), Durability: world.DurabilityMemory, Interval: 10 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		shard := world.ShardID{Place: 1}
		tail, err := log.Claim(t.Context(), shard, "owner", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		append := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			if tail, err = log.Append(t.Context(), shard, tail, nil); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		}
		append(10 * time.Second)
		append(10 * time.Second)
		<-time.After(4 * time.Second) // of the bubble's clock
		append(6 * time.Second)
		<-time.After(time.Minute)
		append(0)
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, durability := range []world.Durability{world.DurabilityMemory, world.DurabilityDisk} {
		for _, shards := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/%d", durability, shards), func(b *testing.B) {
				benchmarkAppend(b, open(b, b.TempDir(), durability), shards)
			})
		}
	}
}

// benchmarkAppend appends batches of 1,000 bytes, and snapshots now and then so
// that the file does not only grow.
func benchmarkAppend(b *testing.B, log *embedded.Log, shards int) {
	batch, state := make([]byte, 1000), make([]byte, 20_000)
	b.ReportAllocs()
	cpu := processorSeconds()
	var running sync.WaitGroup
	for n := range shards {
		times := b.N / shards
		if n < b.N%shards {
			times++
		}
		running.Go(func() {
			ctx, shard := b.Context(), world.ShardID{Place: world.PlaceID(n + 1)}
			tail, err := log.Claim(ctx, shard, "owner", 1, 0)
			for i := 0; i < times && err == nil; i++ {
				tail, err = log.Append(ctx, shard, tail, batch)
				if err == nil && i%1000 == 999 {
					err = log.WriteSnapshot(ctx, shard, tail, tail.Sequence, state, tail.Sequence)
				}
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(processorSeconds()-cpu)*1e6/float64(b.N), "cpu-us/append")
}
