package scenario

import (
	"fmt"
	"math"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// metresPerDegree of latitude on the sphere of world.EarthRadius.
const metresPerDegree = world.EarthRadius * math.Pi / 180

// home is the centre of a group, a cluster or a match; people's positions are
// kept relative to it.
type home struct {
	lat, lng float64
	perLng   float64 // metres per degree of longitude
	phase    float32 // of a moving hot spot, radians
	kind     int32   // which distribution of distances
	place    int32   // -1 is the map
}

func newHome(lat, lng float64, kind int) home {
	return home{lat: lat, lng: lng, perLng: metresPerDegree * math.Cos(lat*math.Pi/180), kind: int32(kind), place: -1}
}

// position gives degrees for metres from the centre.
func (h *home) position(east, north float32) (lat, lng float64) {
	lng = h.lng + float64(east)/h.perLng
	switch {
	case lng > 180:
		lng -= 360
	case lng < -180:
		lng += 360
	}
	return math.Min(90, math.Max(-90, h.lat+float64(north)/metresPerDegree)), lng
}

// relative is the inverse of position.
func (h *home) relative(lat, lng float64) (east, north float32) {
	return float32(math.Remainder(lng-h.lng, 360) * h.perLng), float32((lat - h.lat) * metresPerDegree)
}

// layout says who is where to begin with.
type layout struct {
	homes  []home
	kinds  []kind
	size   int       // of a group or match; 0 with clusters
	shares []float64 // with clusters: cumulated, up to 1
	first  []int32   // of each [[clusters]], its first home; one more at the end
	places []Place
}

// kind is what the people of a home have in common.
type kind struct {
	distances
	driftRadius, driftSpeed float64
}

func newLayout(s *Scenario, o *Options) (*layout, error) {
	switch {
	case s.Groups != nil:
		return newGroups(s.Groups, o)
	case s.Matches != nil:
		return newMatches(s.Matches, o), nil
	}
	return newClusters(s.Clusters, o), nil
}

// newGroups puts groups into the middle cells of the parents of cells, one
// resolution coarser: these are three steps apart at least (seven cells and
// their middle: the perfect code of the hexagonal lattice).
func newGroups(g *Groups, o *Options) (*layout, error) {
	count := (o.Participants + g.Size - 1) / g.Size
	l := &layout{size: g.Size, homes: make([]home, 0, count)}
	cells, err := groupCells(g, o.Map, count)
	if err != nil {
		return nil, err
	}
	within := math.Inf(1) // metres from the middle that are inside every cell
	for _, cell := range cells {
		middle, err := hex.Center(cell)
		if err != nil {
			return nil, err
		}
		if len(l.homes)%64 == 0 { // cells differ little from their neighbours
			within = min(within, inradius(cell, middle))
		}
		l.homes = append(l.homes, newHome(middle.Lat, middle.Lng, 0))
	}
	l.kinds = []kind{{distances: newDistances(g.MeanDistance, g.Spread, 0.85*within)}}
	return l, nil
}

func inradius(cell world.Cell, middle world.Geo) float64 {
	corners, err := hex.Boundary(cell)
	if err != nil {
		return 0
	}
	least := math.Inf(1)
	for i, a := range corners {
		b := corners[(i+1)%len(corners)]
		half := world.Geo{Lat: (a.Lat + b.Lat) / 2, Lng: a.Lng + math.Remainder(b.Lng-a.Lng, 360)/2}
		least = min(least, world.Metres(middle, half))
	}
	return least
}

// groupCells fills shard after shard, from the centre outwards.
func groupCells(g *Groups, m world.ShardMap, count int) ([]world.Cell, error) {
	depth := m.CellResolution - 1 - m.BaseResolution // of the coarser cells in the shard
	if depth < 0 {
		return nil, fmt.Errorf("groups need shards two resolutions coarser than cells: these are %d and %d", m.BaseResolution, m.CellResolution)
	}
	most := 1
	for range depth {
		most *= 7
	}
	perShard := most
	if g.PerShard > 0 {
		perShard = min(perShard, g.PerShard)
	}
	start, err := hex.Cell(g.Centre.Lat, g.Centre.Lng, m.BaseResolution)
	if err != nil {
		return nil, err
	}
	cells := make([]world.Cell, 0, count)
	var ring []world.Cell
	seen := map[world.Cell]bool{}
	for k := 0; len(cells) < count; k++ {
		if k > 1000 {
			return nil, fmt.Errorf("no room for %d groups", count)
		}
		ring = hex.AppendDisk(ring[:0], start, k)
		for _, shard := range ring {
			if seen[shard] || nearPentagon(shard) {
				continue
			}
			seen[shard] = true
			for j := 0; j < perShard && len(cells) < count; j++ {
				cells = append(cells, middleCell(shard, j*most/perShard, depth))
			}
		}
	}
	return cells, nil
}

// nearPentagon: around a pentagon steps are not what they are elsewhere.
func nearPentagon(cell world.Cell) bool {
	for _, near := range hex.Disk(cell, 1) {
		if hex.Pentagon(near) {
			return true
		}
	}
	return false
}

// middleCell gives the cell in the middle of the n-th descendant of a shard,
// depth resolutions finer.
func middleCell(shard world.Cell, n, depth int) world.Cell {
	for range depth {
		shard = child(shard, n%7)
		n /= 7
	}
	return child(shard, 0)
}

// child gives one of the seven children of a hexagon; 0 is the one in the
// middle. Source: H3 documentation, "H3Index bit layout".
func child(cell world.Cell, digit int) world.Cell {
	const resolutionShift = 52
	finer := int(cell>>resolutionShift)&0xf + 1
	shift := 3 * (15 - finer)
	return cell&^(0xf<<resolutionShift|7<<shift) | world.Cell(finer)<<resolutionShift | world.Cell(digit)<<shift
}

func newMatches(m *Matches, o *Options) *layout {
	count := (o.Participants + m.Size - 1) / m.Size
	l := &layout{size: m.Size, homes: make([]home, count), places: make([]Place, count)}
	l.kinds = []kind{{distances: newDistances(m.MeanDistance, m.Spread, 0.99*m.Extent)}}
	for i := range l.homes {
		l.homes[i] = newHome(m.Centre.Lat, m.Centre.Lng, 0)
		l.homes[i].place = int32(i)
		l.places[i] = Place{Index: i, Name: fmt.Sprintf("match %d", i+1), Lat: m.Centre.Lat, Lng: m.Centre.Lng,
			Extent: m.Extent, Capacity: min(2*m.Size, 20_000)}
	}
	return l
}

func newClusters(clusters []Cluster, o *Options) *layout {
	l := &layout{}
	total := 0.0
	for i := range clusters {
		total += clusters[i].Share
	}
	sum := 0.0
	for i := range clusters {
		c := &clusters[i]
		sum += c.Share
		l.shares = append(l.shares, sum/total)
		l.first = append(l.first, int32(len(l.homes)))
		l.kinds = append(l.kinds, kind{
			distances:   newDistances(c.MeanDistance/math.Sqrt(o.Density), c.Spread, 200_000),
			driftRadius: c.DriftRadius, driftSpeed: c.DriftSpeed,
		})
		count := max(1, c.Count)
		if c.People > 0 {
			count = max(1, int(math.Ceil(c.Share/total*float64(o.Participants)/c.People)))
		}
		town := newHome(c.Centre.Lat, c.Centre.Lng, i)
		for k := range count {
			from := newDraw(o.Seed, ofHome, uint64(i)<<32|uint64(k))
			east, north := from.gauss()
			scatter := c.Scatter / math.Sqrt(o.Density)
			lat, lng := town.position(float32(scatter*east), float32(scatter*north))
			if count == 1 || scatter == 0 {
				lat, lng = c.Centre.Lat, c.Centre.Lng
			}
			h := newHome(lat, lng, i)
			h.phase = float32(2 * math.Pi * from.float())
			l.homes = append(l.homes, h)
		}
	}
	l.first = append(l.first, int32(len(l.homes)))
	return l
}

// homeOf says where the participant of a slot belongs.
func (l *layout) homeOf(slot int, from *draw) int32 {
	if l.size > 0 {
		return int32(slot / l.size)
	}
	share, town := from.float(), 0
	for low, high := 0, len(l.shares)-1; low <= high; {
		middle := (low + high) / 2
		if l.shares[middle] <= share {
			low = middle + 1
		} else {
			high = middle - 1
		}
		town = min(low, len(l.shares)-1)
	}
	return l.someHome(town, from)
}

// someHome draws one of the clusters of a [[clusters]].
func (l *layout) someHome(town int, from *draw) int32 {
	first, n := l.first[town], uint64(l.first[town+1]-l.first[town])
	return first + int32(from.next()%n)
}

// drift is where a moving hot spot's centre is, in metres from the home's.
func (k *kind) drift(h *home, seconds float64) (east, north float64) {
	if k.driftRadius == 0 {
		return 0, 0
	}
	// It starts at the home's centre.
	sin, cos := math.Sincos(float64(h.phase) + seconds*k.driftSpeed/k.driftRadius)
	sin0, cos0 := math.Sincos(float64(h.phase))
	return k.driftRadius * (cos - cos0), k.driftRadius * (sin - sin0)
}
