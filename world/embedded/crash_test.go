package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/embedded"
)

// crashDirectory makes this test program the child that is killed.
const (
	crashDirectory  = "STARLING_TEST_CRASH_DIRECTORY"
	crashDurability = "STARLING_TEST_CRASH_DURABILITY"
	crashShards     = 6
)

// crashBatch is what the child writes: told apart by shard and sequence, of
// sizes from nothing to several pages.
func crashBatch(shard, sequence uint64) []byte {
	seed := crc32.ChecksumIEEE(fmt.Appendf(nil, "%d/%d", shard, sequence))
	return []byte(strings.Repeat(fmt.Sprintf("%d/%d ", shard, sequence), int(seed%3000)))
}

// appendUntilKilled is the child: it claims some shards, appends to all, and
// says on its output what was acknowledged.
func appendUntilKilled() int {
	log, err := embedded.Open(embedded.Config{
		Directory: os.Getenv(crashDirectory), Durability: world.Durability(os.Getenv(crashDurability)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	var failed sync.WaitGroup
	for n := range uint64(crashShards) {
		shard := world.ShardID{Place: world.PlaceID(n + 1)}
		failed.Go(func() {
			tail, err := log.Claim(ctx, shard, "child", rand.Uint64(), 0)
			for err == nil {
				tail, err = log.Append(ctx, shard, tail, crashBatch(n, tail.Sequence+1))
				if err == nil {
					fmt.Printf("%d %d\n", n, tail.Sequence) // one write call a line
				}
				if err == nil && tail.Sequence%40 == 0 {
					state := fmt.Appendf(nil, "state %d at %d", n, tail.Sequence)
					err = log.WriteSnapshot(ctx, shard, tail, tail.Sequence, state, tail.Sequence-20)
				}
			}
			fmt.Fprintln(os.Stderr, err)
		})
	}
	failed.Wait()
	return 1
}

// The child is killed again and again over the same file, at random instants;
// each time all that it was told is committed must be there.
func TestKilledProcessLosesNothing(t *testing.T) {
	const kills = 8
	for _, durability := range []world.Durability{world.DurabilityMemory, world.DurabilityDisk} {
		t.Run(string(durability), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			directory := t.TempDir()
			acknowledged := map[uint64]uint64{}
			for range kills {
				killAfter(t, directory, durability, 1+r.IntN(600), acknowledged)
				checkAfterKill(t, directory, acknowledged)
			}
			t.Logf("acknowledged, by shard: %v", acknowledged)
		})
	}
}

// killAfter runs a child until it has said so many lines, kills it, and notes
// all that it said until then.
func killAfter(t *testing.T, directory string, durability world.Durability, lines int, acknowledged map[uint64]uint64) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDirectory+"="+directory, crashDurability+"="+string(durability))
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(output)
	for said := 0; ; said++ {
		line, err := reader.ReadString('\n')
		if err != nil { // the end, or half a line
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		var shard, sequence uint64
		if _, err := fmt.Sscan(line, &shard, &sequence); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		acknowledged[shard] = max(acknowledged[shard], sequence)
		if said == lines {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v, not killed", err)
	}
}

func checkAfterKill(t *testing.T, directory string, acknowledged map[uint64]uint64) {
	t.Helper()
	log := open(t, directory, world.DurabilityDisk)
	defer log.Close()
	for _, wrong := range log.Check() {
		t.Errorf("the file is damaged: %v", wrong)
	}
	for n := range uint64(crashShards) {
		shard := world.ShardID{Place: world.PlaceID(n + 1)}
		holder, err := log.Tail(t.Context(), shard)
		if err != nil {
			t.Fatal(err)
		}
		if holder.Sequence < acknowledged[n] {
			t.Errorf("shard %d: %d were acknowledged, %d are there", n, acknowledged[n], holder.Sequence)
		}
		at, state, err := log.Snapshot(t.Context(), shard)
		if err != nil || at > 0 && string(state) != fmt.Sprintf("state %d at %d", n, at) {
			t.Errorf("shard %d: snapshot %q at %d, %v", n, state, at, err)
		}
		next := at + 1
		for next <= holder.Sequence {
			entries, err := log.Read(t.Context(), shard, next, 50)
			if err != nil || len(entries) == 0 {
				t.Fatalf("shard %d from %d: %d entries, %v", n, next, len(entries), err)
			}
			for _, e := range entries {
				if e.Sequence != next || string(e.Data) != string(crashBatch(n, next)) {
					t.Fatalf("shard %d: entry %d where %d was due, or damaged", n, e.Sequence, next)
				}
				next++
			}
		}
	}
}

// processorSeconds is the processor time that this process took so far.
func processorSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(used.Utime) + seconds(used.Stime)
}
