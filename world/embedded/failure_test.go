package embedded_test

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/starling-vr/starling/world"
)

// A sync that failed leaves nobody knowing what is on disk.
func TestNothingIsWrittenAfterAFailedCommit(t *testing.T) {
	log := open(t, t.TempDir(), world.DurabilityDisk)
	shard := world.ShardID{Place: 1}
	tail, err := log.Claim(t.Context(), shard, "owner", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("input/output error")
	if err := log.Fail(why); !errors.Is(err, world.ErrUnavailable) || !errors.Is(err, why) {
		t.Errorf("told as %v", err)
	}
	if _, err := log.Append(t.Context(), shard, tail, nil); !errors.Is(err, world.ErrUnavailable) || !errors.Is(err, why) {
		t.Errorf("append: %v", err)
	}
	if _, err := log.Tail(t.Context(), shard); !errors.Is(err, world.ErrUnavailable) {
		t.Errorf("tail: %v", err)
	}
}

func TestAFullDiskMayBeCleared(t *testing.T) {
	log := open(t, t.TempDir(), world.DurabilityDisk)
	shard := world.ShardID{Place: 1}
	tail, err := log.Claim(t.Context(), shard, "owner", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	full := fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "world.db", Err: syscall.ENOSPC})
	if err := log.Fail(full); !errors.Is(err, world.ErrUnavailable) {
		t.Errorf("told as %v", err)
	}
	if _, err := log.Append(t.Context(), shard, tail, nil); err != nil {
		t.Errorf("append: %v", err)
	}
}
