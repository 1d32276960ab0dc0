package world_test

import (
	"cmp"
	"errors"
	"testing"

	"github.com/starling-vr/starling/world"
	"pgregory.net/rapid"
)

func TestShardIDText(t *testing.T) {
	for _, c := range []struct {
		id   world.ShardID
		text string
	}{
		{world.ShardID{Cell: 0x87411e5a4ffffff}, "87411e5a4ffffff"},
		{world.ShardID{Place: 0x1f}, "place-1f"},
		{world.ShardID{Cell: 3}, "register-3"},
		{world.ShardID{}, "register-0"},
	} {
		if got := c.id.String(); got != c.text {
			t.Errorf("%+v is %q, want %q", c.id, got, c.text)
		}
		if got, err := world.ParseShardID(c.text); err != nil || got != c.id {
			t.Errorf("%q is %+v, %v; want %+v", c.text, got, err, c.id)
		}
	}
	for _, bad := range []string{"", "f", "place-", "place-0", "place-x", "register-16", "register--1", "register-", "87411e5a4fffffff0", " 87411e5a4ffffff", "-1"} {
		if got, err := world.ParseShardID(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

func FuzzShardIDText(f *testing.F) {
	for _, text := range []string{"87411e5a4ffffff", "place-1f", "register-3", "register-16", "place-0", "", "0x1"} {
		f.Add(text, uint64(0), uint64(12))
	}
	f.Fuzz(func(t *testing.T, text string, place, cell uint64) {
		if id, err := world.ParseShardID(text); err == nil {
			again, err := world.ParseShardID(id.String())
			if err != nil || again != id {
				t.Fatalf("%q is %+v, whose text %q is %+v, %v", text, id, id.String(), again, err)
			}
		}
		id := world.ShardID{Place: world.PlaceID(place), Cell: cell}
		if id.IsPlace() {
			id.Cell = 0
		}
		if again, err := world.ParseShardID(id.String()); err != nil || again != id {
			t.Fatalf("%+v is %q, which is %+v, %v", id, id.String(), again, err)
		}
	})
}

func TestVersionLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) world.Version {
			small := rapid.Uint32Range(0, 2)
			return world.Version{Handovers: small.Draw(t, name), Epoch: small.Draw(t, name), Sequence: uint64(small.Draw(t, name))}
		}
		a, b := draw("a"), draw("b")
		want := cmp.Or(cmp.Compare(a.Handovers, b.Handovers), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Sequence, b.Sequence)) < 0
		if a.Less(b) != want {
			t.Fatalf("%v < %v is %v", a, b, !want)
		}
	})
}

func TestForeignTailErrorBehind(t *testing.T) {
	expect := world.Tail{Epoch: 5, Claim: 9, Sequence: 20}
	for _, c := range []struct {
		found  world.Tail
		behind bool
	}{
		{world.Tail{Epoch: 5, Claim: 9, Sequence: 19}, true},
		{world.Tail{Epoch: 4, Claim: 1, Sequence: 25}, true},
		{world.Tail{}, true},
		{world.Tail{Epoch: 5, Claim: 9, Sequence: 21}, false},
		{world.Tail{Epoch: 5, Claim: 8, Sequence: 19}, false},
		{world.Tail{Epoch: 6, Claim: 9, Sequence: 19}, false},
	} {
		err := &world.ForeignTailError{Expect: expect, Found: world.Holder{Tail: c.found}}
		if err.Behind() != c.behind || err.Error() == "" {
			t.Errorf("%+v: behind is %v", c.found, err.Behind())
		}
	}
}

func TestParseDurability(t *testing.T) {
	for _, d := range []world.Durability{world.DurabilityMemory, world.DurabilityDisk, world.DurabilityReplicated} {
		if got, err := world.ParseDurability(string(d)); err != nil || got != d {
			t.Errorf("%q: %q, %v", d, got, err)
		}
	}
	if _, err := world.ParseDurability("Disk"); err == nil {
		t.Error("Disk is no level")
	}
}

func TestErrorsAreApart(t *testing.T) {
	if errors.Is(world.ErrTruncated, world.ErrUnavailable) {
		t.Error("truncated is unavailable")
	}
}
