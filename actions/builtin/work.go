package builtin

import (
	"encoding/binary"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// WorkName is what a Call names the function of Work.
const WorkName = "work"

// workReach is within how many metres others are neighbours: about the ring of
// cells that participants watch by default.
const workReach = 150

// Work makes a function for load tests, whose work grows with its neighbours as
// its caller wants (F(L) of the workload model): it keeps the processor busy,
// then tells everyone who watches the avatar's cell, by an event "work". It takes
// WorkArguments, and refuses to work for longer than limit.
func Work(limit time.Duration) func(*shard.Call) shard.Result {
	return func(c *shard.Call) shard.Result {
		arguments := c.Arguments()
		if len(arguments) != 16 {
			return shard.Refuse(starlingv1.Code_INVALID, "work takes 16 bytes: nanoseconds, and nanoseconds for each neighbour")
		}
		began := time.Now()
		base, each := binary.LittleEndian.Uint64(arguments), binary.LittleEndian.Uint64(arguments[8:])
		if most := uint64(limit); base > most || each > most {
			return shard.Refuse(starlingv1.Code_LIMIT, "no more than %v of work are allowed", limit)
		}
		neighbours := uint64(0)
		for e := range c.Near(c.Actor().Pose().Position, workReach) {
			if e.Kind() == shard.AvatarKind && e.ID() != c.Actor().ID() {
				neighbours++
			}
		}
		if each > 0 && neighbours > (uint64(limit)-base)/each {
			return shard.Refuse(starlingv1.Code_LIMIT, "no more than %v of work are allowed; with %d neighbours it is more", limit, neighbours)
		}
		for until := began.Add(time.Duration(base + each*neighbours)); time.Now().Before(until); {
		}
		if err := c.Emit(c.Actor(), WorkName, nil); err != nil {
			return refusal(c, err)
		}
		return shard.Applied()
	}
}

// WorkArguments are the arguments of Work: how long to work, and how much longer
// for each other avatar nearby.
func WorkArguments(base, neighbour time.Duration) []byte {
	arguments := binary.LittleEndian.AppendUint64(nil, uint64(max(base, 0)))
	return binary.LittleEndian.AppendUint64(arguments, uint64(max(neighbour, 0)))
}
