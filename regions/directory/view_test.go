package directory

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/world"
)

func ownersView(ids ...string) *View {
	nodes := make([]Node, len(ids))
	for i, id := range ids {
		nodes[i] = Node{Record: Record{ID: id, Incarnation: 1, Roles: []Role{RoleOwner}}, Alive: true}
	}
	return newView(1, nodes, true)
}

func shards(n int) []world.ShardID {
	list := make([]world.ShardID, 0, n)
	for i := range n {
		switch i % 3 {
		case 0:
			list = append(list, world.ShardID{Cell: 0x87411e5a4ffffff + uint64(i)<<24})
		case 1:
			list = append(list, world.ShardID{Place: world.PlaceID(i)})
		default:
			list = append(list, world.ShardID{Cell: uint64(i) % world.RegisterShards})
		}
	}
	return list
}

func names(n int) []string {
	list := make([]string, n)
	for i := range n {
		list[i] = fmt.Sprintf("owner-%02d", i)
	}
	return list
}

func TestSharesAreEqual(t *testing.T) {
	const owners, count = 7, 21000
	v := ownersView(names(owners)...)
	share := map[string]int{}
	for i := range count {
		share[v.Owner(world.ShardID{Cell: 0x87411e5a4ffffff + uint64(i)<<24})]++
	}
	// Binomial: standard deviation sqrt(n p (1-p)); five of them.
	mean := float64(count) / owners
	bound := 5 * math.Sqrt(mean*(1-1.0/owners))
	for id, n := range share {
		if math.Abs(float64(n)-mean) > bound {
			t.Errorf("%s has %d shards, want %.0f +- %.0f", id, n, mean, bound)
		}
	}
	if len(share) != owners {
		t.Errorf("%d of %d owners have shards", len(share), owners)
	}
}

// When an owner comes, shards move only to it; when one goes, only its own move.
func TestOnlyTheShareOfWhoComesOrGoesMoves(t *testing.T) {
	all := shards(600)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "owners")
		ids := names(n)
		gone := rapid.IntRange(0, n-1).Draw(t, "gone")
		with := ownersView(ids...)
		without := ownersView(append(append([]string(nil), ids[:gone]...), ids[gone+1:]...)...)
		for _, shard := range all {
			before, after := with.Owner(shard), without.Owner(shard)
			if before != ids[gone] && before != after {
				t.Fatalf("shard %v moved from %s to %s when %s went", shard, before, after, ids[gone])
			}
			if after == ids[gone] || after == "" {
				t.Fatalf("shard %v is at %q", shard, after)
			}
		}
	})
}

func TestWhoGetsNoShards(t *testing.T) {
	shard := world.ShardID{Place: 7}
	base := Node{Record: Record{ID: "a", Incarnation: 1, Roles: []Role{RoleOwner}}, Alive: true}
	for name, change := range map[string]func(*Node){
		"dead":     func(n *Node) { n.Alive = false },
		"draining": func(n *Node) { n.Draining = true },
		"left":     func(n *Node) { n.Left = true },
		"gateway":  func(n *Node) { n.Roles = []Role{RoleGateway} },
	} {
		n := base
		change(&n)
		if got := newView(1, []Node{n}, true).Owner(shard); got != "" {
			t.Errorf("%s: the shard goes to %q", name, got)
		}
	}
	unsettled := base
	unsettled.Unsettled = true
	if got := newView(1, []Node{unsettled}, true).Owner(shard); got != "a" {
		t.Errorf("an unsettled owner is better than none, got %q", got)
	}
	other := base
	other.ID = "b"
	if got := newView(1, []Node{unsettled, other}, true).Owner(shard); got != "b" {
		t.Errorf("a settled owner goes first, got %q", got)
	}
}

// The choice must not change between versions: processes of two versions serve
// one region during a rolling restart.
func TestChoiceIsStable(t *testing.T) {
	v := ownersView("owner-a", "owner-b", "owner-c")
	got := ""
	for _, shard := range shards(24) {
		got += v.Owner(shard)[6:]
	}
	const want = "ccbbbabababacabcccccbcbc"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkOwner(b *testing.B) {
	v := ownersView(names(8)...)
	shard := world.ShardID{Cell: 0x87411e5a4ffffff}
	b.ReportAllocs()
	for b.Loop() {
		v.Owner(shard)
	}
}
