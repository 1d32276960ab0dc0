package hub

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/starling-vr/starling/world"
)

// point is where an update says that something is.
type point struct {
	local bool
	a, b  float64 // latitude and longitude in degrees; local: east and north in metres
}

// pointOf finds the position in an encoded Update. It is false when there is none.
func pointOf(update []byte) (p point, ok bool) {
	position := field(field(update, updatePose), 1)
	if geo := field(position, 1); geo != nil {
		return point{a: double(geo, 1), b: double(geo, 2)}, true
	}
	if local := field(position, 2); local != nil {
		return point{local: true, a: float(local, 1), b: float(local, 2)}, true
	}
	return point{}, false
}

// field gives the content of the first field of a number: a message or bytes
// without their length, or the bytes of a fixed number. nil: absent.
func field(message []byte, want protowire.Number) []byte {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return nil
		}
		n := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if n < 0 {
			return nil
		}
		if number == want {
			if kind != protowire.BytesType {
				return message[tag : tag+n]
			}
			value, _ := protowire.ConsumeBytes(message[tag:])
			return value[:len(value):len(value)]
		}
		message = message[tag+n:]
	}
	return nil
}

func fixed64(message []byte, number protowire.Number) uint64 {
	if b := field(message, number); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func double(message []byte, number protowire.Number) float64 {
	return math.Float64frombits(fixed64(message, number))
}

func float(message []byte, number protowire.Number) float64 {
	if b := field(message, number); len(b) == 4 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return 0
}

// tileKey names a tile of a grid.
type tileKey struct{ east, north int32 }

// grid divides a crowd into square tiles. Within a cell the map is flat enough:
// a degree of longitude is taken to be as long as at the origin.
type grid struct {
	size          float64 // metres, the edge of a tile
	origin        point   // of geographic positions
	eastPerDegree float64 // metres
}

const metresPerDegree = math.Pi * world.EarthRadius / 180

func newGrid(origin point, size float64) grid {
	return grid{size: size, origin: origin, eastPerDegree: metresPerDegree * math.Cos(origin.a*math.Pi/180)}
}

// key finds the tile of a point.
func (g *grid) key(p point) tileKey {
	east, north := g.quarter(p)
	return tileKey{int32(east >> 2), int32(north >> 2)}
}

// quarter finds the quarter of a tile, east and north, in which a point is.
func (g *grid) quarter(p point) (int64, int64) {
	east, north := p.a, p.b
	if !p.local {
		degrees := p.b - g.origin.b
		if degrees > 180 {
			degrees -= 360
		} else if degrees < -180 {
			degrees += 360
		}
		east, north = degrees*g.eastPerDegree, (p.a-g.origin.a)*metresPerDegree
	}
	return quarterIndex(east / g.size), quarterIndex(north / g.size)
}

// quarterIndex leaves room for the tiles around.
func quarterIndex(at float64) int64 {
	const limit = 1 << 30
	return int64(math.Floor(quarters * max(-limit, min(limit, at))))
}

// census counts entities: things that lie about, and people.
type census struct{ people, things int }

func (c census) all() int { return c.people + c.things }

func (c *census) add(o census) {
	c.people += o.people
	c.things += o.things
}

// move counts a resident in (n is 1) or out (-1).
func (c *census) move(r *resident, n int) {
	if r.person {
		c.people += n
	} else {
		c.things += n
	}
}

// tile is a part of a crowd: those in it are told of together, to all viewers
// that are near.
type tile struct {
	key     tileKey
	count   census
	viewers []*viewer
	open    *partial // what happened in it and is in no frame yet; all viewers have it pending
}

// Sizes of tiles in metres.
const (
	smallestTile = 1
	largestTile  = 512
	firstTile    = 8
	fewTile      = 16 // at least, where there are so few that all are near
)

// fit gives the size of tiles in which an entity has about so many others in its
// own, by how many it has with the present size.
func fit(size, others, wanted float64) float64 {
	factor := 4.0
	if others > 0 {
		factor = max(0.25, min(4, math.Sqrt(wanted/others)))
	}
	return max(smallestTile, min(largestTile, size*factor))
}
