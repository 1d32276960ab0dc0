package scenario

import (
	"math"
	"time"

	"github.com/starling-vr/starling/world"
)

// Figures describe a crowd as it stands after the action handed out last.
type Figures struct {
	Present int // participants
	Cells   int // with somebody in them
	Shards  int // the same
	Busiest int // participants in the fullest cell

	FullestShard int // participants in the fullest shard

	// Affected[n] counts the participants whose actions n participants see, the
	// actor among them: P(L), if all act at the same rate.
	Affected []int

	Crossings float64 // of cells, per second, up to now
	Handovers float64 // of those, between shards
}

// MeanAffected is the mean of P(L).
func (f *Figures) MeanAffected() float64 {
	people, sum := 0, 0
	for n, count := range f.Affected {
		people += count
		sum += n * count
	}
	return float64(sum) / math.Max(1, float64(people))
}

// AffectedAt is a quantile of P(L), q in 0..1.
func (f *Figures) AffectedAt(q float64) int {
	people := 0
	for _, count := range f.Affected {
		people += count
	}
	left := int(math.Ceil(q * float64(people)))
	for n, count := range f.Affected {
		if left -= count; left <= 0 && count > 0 {
			return n
		}
	}
	return 0
}

// Figures counts the crowd; it takes some microseconds for each cell.
func (c *Crowd) Figures() Figures {
	var f Figures
	shards := make(map[world.ShardID]int)
	for i := range c.sites.all {
		n := int(c.sites.all[i].count)
		if n == 0 {
			continue
		}
		f.Present += n
		f.Cells++
		f.Busiest = max(f.Busiest, n)
		shard := c.Shard(c.sites.all[i].place, c.sites.all[i].cell)
		shards[shard] += n
		f.FullestShard = max(f.FullestShard, shards[shard])
		watch := 0
		for _, near := range c.sites.around(int32(i)) {
			watch += int(c.sites.all[near].count)
		}
		for len(f.Affected) <= watch {
			f.Affected = append(f.Affected, 0)
		}
		f.Affected[watch] += n
	}
	f.Shards = len(shards)
	if c.now > 0 {
		f.Crossings = float64(c.crossed) / c.now.Seconds()
		f.Handovers = float64(c.handed) / c.now.Seconds()
	}
	return f
}

// Shard gives the shard of a cell of the map (place -1) or of a place. Places
// have the index that Place.Index says, from 1 on.
func (c *Crowd) Shard(place int32, cell world.Cell) world.ShardID {
	return c.options.Map.Shard(world.PlaceID(place+1), cell)
}

// Now is when the action handed out last was due.
func (c *Crowd) Now() time.Duration { return c.now }
