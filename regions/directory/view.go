package directory

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/starling-vr/starling/world"
)

// Node is a process as this one sees it.
type Node struct {
	Record
	Alive    bool // its lease may be held
	Draining bool // by its own word or an operator's wish

	deadSince time.Duration // when it was found dead, by the member's clock
}

// View is who is there, as this process sees it. It never changes; a newer one
// takes its place.
type View struct {
	Version uint64 // grows with each change that may change an assignment or a link
	Nodes   []Node // by id, the dead ones too until they are forgotten

	owners        []candidate
	absentAreDead bool
}

type candidate struct {
	id   string
	seed uint64
}

// newView takes nodes sorted by id.
func newView(version uint64, nodes []Node, absentAreDead bool) *View {
	v := &View{Version: version, Nodes: nodes, absentAreDead: absentAreDead}
	v.owners = candidates(nodes, func(n *Node) bool { return !n.Unsettled })
	if len(v.owners) == 0 {
		// Owners that keep losing their leases are better than none.
		v.owners = candidates(nodes, func(*Node) bool { return true })
	}
	return v
}

func candidates(nodes []Node, eligible func(*Node) bool) []candidate {
	var list []candidate
	for i := range nodes {
		n := &nodes[i]
		if n.Alive && !n.Draining && !n.Left && n.Has(RoleOwner) && eligible(n) {
			list = append(list, candidate{id: n.ID, seed: xxhash.Sum64String(n.ID)})
		}
	}
	return list
}

// Owner names the process that should serve the shard: of the live, undrained
// owners the one with the highest random weight, the hash of its id and the
// shard. So all who see the same owners choose the same, each owner gets an
// equal share, and when one comes or goes only its own share moves. "" if there
// is no owner.
//
// Source: Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous",
// 1996.
func (v *View) Owner(shard world.ShardID) string {
	var best candidate
	var bestWeight uint64
	for _, c := range v.owners {
		if w := weight(c.seed, shard); best.id == "" || w > bestWeight {
			best, bestWeight = c, w
		}
	}
	return best.id
}

func weight(seed uint64, shard world.ShardID) uint64 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(shard.Place))
	binary.LittleEndian.PutUint64(b[16:], shard.Cell)
	return xxhash.Sum64(b[:])
}

// Node finds a process, nil if it is not known.
func (v *View) Node(id string) *Node {
	i, ok := slices.BinarySearchFunc(v.Nodes, id, func(n Node, id string) int {
		if n.ID < id {
			return -1
		} else if n.ID > id {
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &v.Nodes[i]
}

// Alive says whether the process may still hold its lease.
func (v *View) Alive(id string) bool {
	if n := v.Node(id); n != nil {
		return n.Alive
	}
	return !v.absentAreDead
}

// differs says whether two views may lead to different assignments or links.
func (v *View) differs(nodes []Node, absentAreDead bool) bool {
	if len(v.Nodes) != len(nodes) || v.absentAreDead != absentAreDead {
		return true
	}
	for i := range nodes {
		a, b := &v.Nodes[i], &nodes[i]
		if a.ID != b.ID || a.Incarnation != b.Incarnation || a.Term != b.Term || a.Alive != b.Alive || a.Draining != b.Draining ||
			a.Left != b.Left || a.Unsettled != b.Unsettled || a.Address != b.Address || !slices.Equal(a.Roles, b.Roles) {
			return true
		}
	}
	return false
}
