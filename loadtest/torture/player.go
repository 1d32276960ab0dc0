package torture

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/loadtest/crowd"
	"github.com/starling-vr/starling/world"
)

// player is one participant.
type player struct {
	players *Players
	name    string
	random  *rand.Rand
	client  *starling.Client
	record  *check.Client
	gone    atomic.Bool
	refused atomic.Pointer[starlingv1.Outcome] // the last retryable refusal
	trace   trace
	gateway int // next to connect to
	at      world.Geo
	goal    world.Geo

	mu      sync.Mutex
	waits   []wait
	held    []uint64
	spawned []uint64
}

// wait is how long one outcome took.
type wait struct {
	asked  time.Time
	took   time.Duration
	number uint64        // of the action
	home   world.ShardID // where the player saw itself at the end
}

// reach is somewhat less than the owners' limit: others move meanwhile.
const reach = 50 // metres

func (one *player) play(ctx context.Context) {
	one.choose()
	for pause(ctx, time.Duration(one.random.ExpFloat64()/one.players.rate*float64(time.Second))) {
		if one.gone.Load() {
			return
		}
		one.act()
	}
}

// choose takes a new goal anywhere in the square.
func (one *player) choose() {
	one.goal = crowd.Offset(centre, (one.random.Float64()-0.5)*square, (one.random.Float64()-0.5)*square)
}

// act does something: mostly it moves.
func (one *player) act() {
	switch what := one.random.Float64(); {
	case what < 0.74:
		one.move()
	case what < 0.80:
		one.do(starling.SpeakAct(fmt.Sprintf("%s says %d", one.name, one.random.IntN(1000))), nil)
	case what < 0.88:
		one.touch()
	case what < 0.96:
		one.grabOrRelease()
	case what < 0.98:
		one.spawnOrDespawn()
	default:
		one.decorate()
	}
}

// move walks towards the goal, ten to forty metres: about half of the steps
// lead into another cell.
func (one *player) move() {
	north := (one.goal.Lat - one.at.Lat) * metresPerDegree
	east := (one.goal.Lng - one.at.Lng) * metresPerDegree * math.Cos(one.at.Lat*math.Pi/180)
	left, step := math.Hypot(east, north), 10+30*one.random.Float64()
	if left <= step {
		one.at = one.goal
		one.choose()
	} else {
		one.at = crowd.Offset(one.at, east*step/left, north*step/left)
	}
	one.do(starling.MoveAct(&starlingv1.Move{Pose: &starlingv1.Pose{Position: one.position()}}), nil)
}

// metresPerDegree of latitude on the mean sphere (radius 6,371,008.8 m).
const metresPerDegree = 111195.08

func (one *player) position() *starlingv1.Position {
	return starling.Geographic(one.at.Lat, one.at.Lng, 0)
}

func (one *player) touch() {
	if target := one.target(func(starling.Entity) bool { return true }); target != nil {
		one.do(&starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: target}}}, nil)
	}
}

func (one *player) grabOrRelease() {
	one.mu.Lock()
	held := one.held
	if len(held) > 0 {
		one.held = held[1:]
	}
	one.mu.Unlock()
	if len(held) > 0 && one.random.IntN(2) == 0 {
		one.do(&starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: held[0]}}}, nil)
		return
	}
	target := one.target(func(e starling.Entity) bool { return e.Kind == thing && e.Holder == 0 })
	if target == nil {
		one.spawn()
		return
	}
	one.do(&starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: target}}}, func(out starling.Outcome) {
		if out.Err == nil {
			one.mu.Lock()
			one.held = append(one.held, target.Entity)
			one.mu.Unlock()
		}
	})
}

const thing = "thing"

func (one *player) spawnOrDespawn() {
	one.mu.Lock()
	last := len(one.spawned) - 1
	entity := uint64(0)
	if last >= 0 && one.random.IntN(2) == 0 {
		entity, one.spawned = one.spawned[last], one.spawned[:last]
	}
	one.mu.Unlock()
	if entity == 0 {
		one.spawn()
		return
	}
	one.do(&starlingv1.Act{Function: &starlingv1.Act_Despawn{Despawn: &starlingv1.Despawn{Target: one.client.Target(entity)}}}, nil)
}

func (one *player) spawn() {
	act := &starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: thing, Pose: &starlingv1.Pose{Position: one.position()}}}}
	one.do(act, func(out starling.Outcome) {
		if out.Err == nil {
			one.mu.Lock()
			one.spawned = append(one.spawned, out.Entity)
			one.mu.Unlock()
		}
	})
}

// decorate sets an attribute of its own avatar.
func (one *player) decorate() {
	value := &starlingv1.Value{Is: &starlingv1.Value_Integer{Integer: one.random.Int64N(1000)}}
	one.do(&starlingv1.Act{Function: &starlingv1.Act_SetAttribute{SetAttribute: &starlingv1.SetAttribute{Name: "mood", Value: value}}}, nil)
}

// target finds somebody or something near, by preference one whose home is
// another shard.
func (one *player) target(wanted func(starling.Entity) bool) *starlingv1.Target {
	own := one.client.Session().Avatar
	me, _ := one.client.Entity(own)
	home := one.players.cluster.Map.Shard(0, world.Cell(me.Cell))
	var near, across *starlingv1.Target
	seen := 0
	one.client.Entities(func(e starling.Entity) bool {
		if e.ID == own || e.Pose.GetPosition().GetGeo() == nil || one.distance(e) > reach || !wanted(e) {
			return true
		}
		target := &starlingv1.Target{Entity: e.ID, Cell: e.Cell}
		if seen++; one.random.IntN(seen) == 0 {
			near = target
		}
		if one.players.cluster.Map.Shard(0, world.Cell(e.Cell)) != home {
			across = target
		}
		return true
	})
	if across != nil {
		return across
	}
	return near
}

func (one *player) distance(e starling.Entity) float64 {
	geo := e.Pose.Position.GetGeo()
	return math.Hypot((geo.Latitude-one.at.Lat)*metresPerDegree, (geo.Longitude-one.at.Lng)*metresPerDegree*math.Cos(one.at.Lat*math.Pi/180))
}

// do asks for an action.
func (one *player) do(act *starlingv1.Act, then func(starling.Outcome)) {
	asked := time.Now()
	err := one.client.Do(act, func(out starling.Outcome) {
		w := wait{asked: asked, took: time.Since(asked), number: out.Number}
		if me, ok := one.client.Entity(one.client.Session().Avatar); ok {
			w.home = one.players.cluster.Map.Shard(world.PlaceID(me.Place), world.Cell(me.Cell))
		}
		one.mu.Lock()
		one.waits = append(one.waits, w)
		one.mu.Unlock()
		one.players.count(out)
		if then != nil {
			then(out)
		}
	})
	if err != nil {
		one.players.Skipped.Add(1)
		return
	}
	one.players.Sent.Add(1)
}
