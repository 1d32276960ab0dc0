package hex

import (
	"fmt"
	"math"

	"github.com/starling-vr/starling/world"
	"github.com/uber/h3-go/v4"
)

// maxCorners is H3's bound: five corners of a pentagon and five more where it
// crosses edges of the icosahedron.
const maxCorners = 10

const radian = math.Pi / 180 // radians per degree

// Bounds tells without the library whether a position lies in one cell. It
// never says yes wrongly; very near the edge it says "not proven". It is fixed
// once made: many goroutines and all entities of a cell may share one.
//
// H3 draws the edges of a cell as straight lines on the gnomonic projection of
// a face of its icosahedron, which are great circles on the sphere; where a cell
// spans faces H3 gives the points at which its edges bend as further corners.
// So a position is inside if it is on the inner side of the plane through each
// edge and the Earth's centre. Where an edge bends inwards the planes enclose a
// little less than the cell, never more.
type Bounds struct {
	cell       world.Cell
	resolution int

	// A circle inside the cell: degrees of latitude around (lat, lng), with
	// longitudes scaled by the largest cosine of latitude in the circle, so that
	// a position counts as farther from the middle than it is, never nearer.
	lat, lng, scale, radiusSquared float64

	margin  float64 // radians within the edge where nothing is proven
	edges   int
	normals [maxCorners]vector // of the planes through the edges, unit length, pointing inwards
	corners [maxCorners]vector
}

// vector is a point of the unit sphere, or a direction.
type vector struct{ x, y, z float64 }

func (a vector) dot(b vector) float64 { return a.x*b.x + a.y*b.y + a.z*b.z }

func (a vector) cross(b vector) vector {
	return vector{a.y*b.z - a.z*b.y, a.z*b.x - a.x*b.z, a.x*b.y - a.y*b.x}
}

func (a vector) scaled(by float64) vector { return vector{a.x * by, a.y * by, a.z * by} }

func (a vector) length() float64 { return math.Sqrt(a.dot(a)) }

// on gives the point of the unit sphere at a position in degrees.
func on(lat, lng float64) vector {
	sinLat, cosLat := math.Sincos(lat * radian)
	sinLng, cosLng := math.Sincos(lng * radian)
	return vector{cosLat * cosLng, cosLat * sinLng, sinLat}
}

// NewBounds asks the library for the bounds of a cell; it takes about 2 us.
func NewBounds(cell world.Cell) (*Bounds, error) {
	if !Valid(cell) {
		return nil, noCell(cell)
	}
	corners, err := h3.CellToBoundary(h3.Cell(cell))
	if err != nil {
		return nil, fmt.Errorf("bounds of cell %x: %w", uint64(cell), err)
	}
	middle, err := h3.CellToLatLng(h3.Cell(cell))
	if err != nil {
		return nil, fmt.Errorf("bounds of cell %x: %w", uint64(cell), err)
	}
	b := &Bounds{
		cell: cell, resolution: h3.Cell(cell).Resolution(),
		lat: middle.Lat, lng: middle.Lng, edges: len(corners),
	}
	for i, at := range corners {
		b.corners[i] = on(at.Lat, at.Lng)
	}
	center := on(middle.Lat, middle.Lng)
	inradius := math.Inf(1) // radians
	for i := range b.edges {
		normal := b.corners[i].cross(b.corners[(i+1)%b.edges])
		normal = normal.scaled(1 / normal.length())
		b.normals[i] = normal
		inradius = min(inradius, math.Asin(normal.dot(center)))
	}
	b.setMargin(corners, inradius)
	b.setCircle(inradius - b.margin)
	return b, nil
}

// setMargin allows for the error of the library's own arithmetic, far above
// ours (1e-15): it takes arc cosines near 1 for the distance from a face's
// middle, off by eps/distance, and arc sines near 1 for the latitude of corners
// near a pole, off by eps/cos(latitude).
func (b *Bounds) setMargin(corners h3.CellBoundary, inradius float64) {
	const (
		base = 1e-9 // radians, 6 mm
		eps  = 0x1p-52
	)
	polar := 1.0
	for _, at := range corners {
		polar = min(polar, math.Cos(at.Lat*radian))
	}
	b.margin = base + 4*eps/math.Abs(inradius) + 4*eps/max(polar, math.Sqrt(eps))
}

// setCircle takes the radius of the circle in radians; one that is not positive
// leaves no circle.
func (b *Bounds) setCircle(radius float64) {
	if radius <= 0 {
		return
	}
	degrees := radius / radian
	nearest := max(0, math.Abs(b.lat)-degrees) // to the equator: the largest cosine
	b.scale = math.Cos(nearest * radian)
	b.radiusSquared = degrees * degrees
}

// Cell is the cell that these are the bounds of.
func (b *Bounds) Cell() world.Cell { return b.cell }

// Contains says whether the position is proven to be in the cell. It is false
// for positions that are not on Earth.
func (b *Bounds) Contains(lat, lng float64) bool {
	// The path straight in latitude and longitude is no shorter than the great
	// circle, and its length is at most the root of this sum.
	north, east := lat-b.lat, (lng-b.lng)*b.scale
	if north*north+east*east < b.radiusSquared {
		return lng >= -180 && lng <= 180 && lat >= -90 && lat <= 90
	}
	if !(lng >= -180 && lng <= 180 && lat >= -90 && lat <= 90) {
		return false
	}
	at := on(lat, lng)
	for i := range b.edges {
		if b.normals[i].dot(at) < b.margin {
			return false
		}
	}
	return true
}

// MetresOutside is how far a position lies outside of the cell's edge, along
// the sphere of world.EarthRadius; 0 inside.
//
// This is the measure for hysteresis: an entity changes its shard once it is
// some metres outside of its own cell and the cell where it is then belongs to
// another shard. (The cells of a shard do not fill the coarser H3 cell that
// names it exactly, so a distance to that one would not be to the shard's border.)
func (b *Bounds) MetresOutside(lat, lng float64) float64 {
	at := on(lat, lng)
	inside, nearest := true, math.Inf(1)
	for i := range b.edges {
		if b.normals[i].dot(at) < 0 {
			inside = false
			nearest = min(nearest, arcDistance(at, b.corners[i], b.corners[(i+1)%b.edges], b.normals[i]))
		}
	}
	if inside {
		return 0
	}
	return nearest * world.EarthRadius
}

// arcDistance is the angle between a point and the great-circle arc from a to
// b, whose plane has the given normal.
func arcDistance(at, a, b, normal vector) float64 {
	// Above the arc if it is beyond a towards b and beyond b towards a.
	if normal.cross(a).dot(at) >= 0 && b.cross(normal).dot(at) >= 0 {
		return math.Asin(min(1, math.Abs(normal.dot(at))))
	}
	return min(angle(at, a), angle(at, b))
}

func angle(a, b vector) float64 {
	chord := vector{a.x - b.x, a.y - b.y, a.z - b.z}.length()
	return 2 * math.Asin(min(1, chord/2))
}
