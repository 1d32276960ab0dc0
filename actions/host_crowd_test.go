package actions_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/actionstest"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world/hex"
)

// Guards against races between shards of one process: a crowd where three of
// them meet, everyone crossing, taking and dropping at once.
func TestACrowdWhereThreeShardsMeet(t *testing.T) {
	w := actionstest.New(t, actions.Options{Limits: actions.Limits{Speed: 1000, SpeedBurst: 1e6, Reach: 200}})
	parent, err := hex.Cell(taipei.Lat, taipei.Lng, 7)
	if err != nil {
		t.Fatal(err)
	}
	corners, err := hex.Boundary(parent)
	if err != nil {
		t.Fatal(err)
	}
	near := func(random *rand.Rand) *starlingv1.Pose {
		at := corners[0]
		at.Lat += (random.Float64() - 0.5) * 1e-3
		at.Lng += (random.Float64() - 0.5) * 1e-3
		return actionstest.At(at)
	}
	const crowd, each = 12, 60
	var mu sync.Mutex
	var things []*starlingv1.Target
	var all sync.WaitGroup
	avatars := make([]uint64, crowd)
	for n := range crowd {
		random := rand.New(rand.NewPCG(1, uint64(n)))
		p := w.Join(fmt.Sprint("p", n), near(random), "spawn:any")
		avatars[n] = p.Avatar
		all.Go(func() {
			for range each {
				mu.Lock()
				var target *starlingv1.Target
				if len(things) > 0 {
					target = things[random.IntN(len(things))]
				}
				mu.Unlock()
				switch random.IntN(6) {
				case 0:
					out := p.Do(&starlingv1.Spawn{Kind: "thing", Pose: near(random)})
					mu.Lock()
					things = append(things, &starlingv1.Target{Entity: out.Entity, Cell: p.Cell()})
					mu.Unlock()
				case 1:
					p.Do(&starlingv1.Grab{Target: target})
				case 2:
					p.Do(&starlingv1.Release{Entity: target.GetEntity(), Position: near(random).Position})
				default:
					if out := p.Do(&starlingv1.Move{Pose: near(random)}); out.Code != starlingv1.Code_APPLIED {
						t.Errorf("a move ended as %v", out)
					}
				}
			}
		})
	}
	all.Wait()
	want := make(map[uint64]bool)
	for _, avatar := range avatars {
		want[avatar] = true
	}
	for _, thing := range things {
		want[thing.Entity] = true
	}
	middle, err := hex.Cell(corners[0].Lat, corners[0].Lng, 10)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "everything to have one home", func() bool {
		seen := make(map[uint64]int)
		for _, cell := range hex.Disk(middle, 3) {
			for _, u := range w.Cell(uint64(cell)) {
				if !u.Frozen {
					seen[u.Entity]++
				}
			}
		}
		for entity := range want {
			if seen[entity] != 1 {
				return false
			}
		}
		return len(seen) == len(want)
	})
}
