package scenario

import (
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// site is a cell of the map or of a place, with who is there.
type site struct {
	cell      world.Cell
	bounds    *hex.Bounds // nil until needed
	disk      []int32     // itself and the sites within the ring; nil until needed
	place     int32
	first     int32 // participant, -1 none
	count     int32
	unsettled int32 // crossings from and to it within the window
}

type siteKey struct {
	cell  world.Cell
	place int32
}

// sites are all cells that matter so far.
type sites struct {
	all   []site
	index map[siteKey]int32
	disk  []world.Cell // reused
	near  []int32      // where disks are cut from
	ring  int
	shard world.ShardMap
}

func (s *sites) init(m world.ShardMap, ring int) {
	s.index, s.shard, s.ring = make(map[siteKey]int32), m, ring
}

func (s *sites) of(place int32, cell world.Cell) int32 {
	key := siteKey{cell, place}
	if i, ok := s.index[key]; ok {
		return i
	}
	i := int32(len(s.all))
	s.all = append(s.all, site{cell: cell, place: place, first: -1})
	s.index[key] = i
	return i
}

// around gives a site and those within the ring: who is there watches it.
func (s *sites) around(i int32) []int32 {
	if disk := s.all[i].disk; disk != nil {
		return disk
	}
	place := s.all[i].place
	s.disk = hex.AppendDisk(s.disk[:0], s.all[i].cell, s.ring)
	if cap(s.near)-len(s.near) < len(s.disk) {
		s.near = make([]int32, 0, 1<<12)
	}
	begin := len(s.near)
	for _, cell := range s.disk {
		s.near = append(s.near, s.of(place, cell))
	}
	disk := s.near[begin:len(s.near):len(s.near)]
	s.all[i].disk = disk
	return disk
}

// watches says whether those at a site watch another.
func (s *sites) watches(from, what int32) bool {
	for _, near := range s.around(what) {
		if near == from {
			return true
		}
	}
	return false
}

// locate finds the site of a position for somebody who was at another (-1:
// nowhere), as the server does: near the border of its shard one stays where one was.
func (c *Crowd) locate(place int32, lat, lng float64, was int32) (int32, error) {
	if was < 0 {
		cell, err := hex.Cell(lat, lng, c.options.Map.CellResolution)
		if err != nil {
			return -1, err
		}
		return c.sites.of(place, cell), nil
	}
	bounds := c.sites.all[was].bounds
	if bounds == nil {
		var err error
		if bounds, err = c.cells.Bounds(c.sites.all[was].cell); err != nil {
			return -1, err
		}
		if len(c.sites.all) < 1<<17 { // else the tracker bounds the memory
			c.sites.all[was].bounds = bounds
		}
	}
	if bounds.Contains(lat, lng) {
		return was, nil
	}
	cell, err := hex.Cell(lat, lng, c.options.Map.CellResolution)
	if err != nil || cell == bounds.Cell() {
		return was, err
	}
	m := c.options.Map
	if place < 0 && m.Shard(0, cell) != m.Shard(0, bounds.Cell()) && bounds.MetresOutside(lat, lng) <= c.options.Hysteresis {
		return was, nil
	}
	return c.sites.of(place, cell), nil
}

// enter lists a participant at its site.
func (c *Crowd) enter(i int32) {
	p := &c.people[i]
	s := &c.sites.all[p.site]
	p.here, p.next, p.previous = true, s.first, -1
	if s.first >= 0 {
		c.people[s.first].previous = i
	}
	s.first = i
	s.count++
}

// exit takes it off the list.
func (c *Crowd) exit(i int32) {
	p := &c.people[i]
	s := &c.sites.all[p.site]
	if p.previous >= 0 {
		c.people[p.previous].next = p.next
	} else {
		s.first = p.next
	}
	if p.next >= 0 {
		c.people[p.next].previous = p.previous
	}
	p.here = false
	s.count--
}
