package hub

import "math"

// disc is what is near an avatar: the tiles of a crowd that a circle around it
// touches. Where it stands is known to a quarter of a tile.
type disc struct {
	east, north int64   // of the avatar, quarters of a tile
	radius      float64 // in tiles; below 0: nothing is near
}

// quarters are the parts into which the edge of a tile is divided.
const quarters = 4

// maxRadius of what is near, in tiles: where a crowd thins out, the nearest are
// several times as far as in its midst.
const maxRadius = 14

// tilesOfNear is the number of tiles that those wanted near are to fill: with 48
// tiles for all of them, the tiles that the circle around the nearest touches hold
// about a third more than these, and all but one in a thousand of them.
const tilesOfNear = 48

var nothingNear = disc{radius: -1}

// holds says whether the circle touches a tile.
func (d *disc) holds(k tileKey) bool {
	if d.radius < 0 {
		return false
	}
	east := beside(int64(k.east)*quarters - d.east)
	north := beside(int64(k.north)*quarters - d.north)
	return east*east+north*north <= d.radius*d.radius
}

// beside is how far, in tiles, a tile lies to one side of the middle of a quarter,
// given where it begins.
func beside(begins int64) float64 {
	return max(float64(begins)-0.5, 0, 0.5-float64(begins+quarters)) / quarters
}

// square gives the corners of a square of tiles in which the disc lies.
func (d *disc) square() (from, to tileKey) {
	if d.radius < 0 {
		return tileKey{0, 0}, tileKey{-1, -1}
	}
	r := int64(math.Ceil(d.radius))
	east, north := d.east>>2, d.north>>2
	return tileKey{int32(east - r), int32(north - r)}, tileKey{int32(east + r), int32(north + r)}
}

// around finds the disc around a point that holds the people nearest to it: as many
// as wanted, and not many more. Where hardly anybody but things is, twice as many of
// all are enough. Tiles count by how far their middle is. It gives who and what is
// nearer than its radius by that.
func (w *crowd) around(at point, want int) (d disc, held census) {
	d.east, d.north = w.grid.quarter(at)
	center := tileKey{int32(d.east >> 2), int32(d.north >> 2)}
	var byDistance [quarters * 2 * (maxRadius + 1)]census
	var before census
	bin := 0
	reach := quarters*maxRadius + quarters/2
rings:
	for ring := range maxRadius + 1 {
		w.eachAround(center, int32(ring), func(k tileKey, count census) {
			east := float64(int64(k.east)*quarters-d.east) + quarters/2 - 0.5
			north := float64(int64(k.north)*quarters-d.north) + quarters/2 - 0.5
			byDistance[int(math.Sqrt(east*east+north*north))].add(count)
		})
		for ; bin < quarters*ring+quarters/2; bin++ { // nearer than all rings to come
			before = held
			if held.add(byDistance[bin]); held.enough(want) {
				reach = bin
				break rings
			}
		}
	}
	d.radius = (float64(reach) + 0.5) / quarters
	if held.all() > tooMany*want { // very many on one spot, which is left out
		if before.all() == 0 {
			return nothingNear, before // nobody is nearer than the others
		}
		d.radius, held = d.radius-math.Sqrt2/2, before
	}
	return d, held
}

// enough says whether these are as many as wanted.
func (c census) enough(want int) bool { return c.people >= want || c.all() >= manyThings*want }

// manyThings times as many as the people wanted are enough, things among them.
const manyThings = 2

// disc gives what is within so many metres of a point: nothing where nobody is.
func (w *crowd) disc(at point, metres float64) disc {
	var d disc
	d.east, d.north = w.grid.quarter(at)
	d.radius = min(maxRadius, metres/w.grid.size)
	from, to := d.square()
	if to.east < w.from.east || to.north < w.from.north || from.east > w.to.east || from.north > w.to.north {
		return nothingNear
	}
	return d
}

// tooMany times as many as wanted are not near: nobody is, then.
const tooMany = 4

// eachAround calls f for the tiles at just that distance from one, in tiles, that
// somebody is in.
func (w *crowd) eachAround(center tileKey, distance int32, f func(tileKey, census)) {
	look := func(k tileKey) {
		if t := w.tiles[k]; t != nil && t.count.all() > 0 {
			f(k, t.count)
		}
	}
	if distance == 0 {
		look(center)
		return
	}
	for i := -distance; i <= distance; i++ {
		look(tileKey{center.east + i, center.north - distance})
		look(tileKey{center.east + i, center.north + distance})
		if i != -distance && i != distance {
			look(tileKey{center.east - distance, center.north + i})
			look(tileKey{center.east + distance, center.north + i})
		}
	}
}
