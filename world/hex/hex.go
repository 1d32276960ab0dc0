// Package hex is where Starling meets the H3 library, and all of its cgo. A
// call of the library costs about 30 ns and finding a position's cell about
// 400; Bounds answers in a few ns whether a position is still in the same cell.
//
// Cells are H3 indexes (https://h3geo.org). Positions are degrees.
package hex

import (
	"fmt"

	"github.com/starling-vr/starling/world"
	"github.com/uber/h3-go/v4"
)

// MaxResolution is the finest resolution of H3.
const MaxResolution = h3.MaxResolution

// Cell gives the cell of a position. An error wraps world.ErrPosition for one
// that is not on Earth (NaN included).
func Cell(lat, lng float64, resolution int) (world.Cell, error) {
	if err := (world.Geo{Lat: lat, Lng: lng}).Validate(); err != nil {
		return 0, err
	}
	cell, err := h3.LatLngToCell(h3.LatLng{Lat: lat, Lng: lng}, resolution)
	if err != nil {
		return 0, fmt.Errorf("cell of %v, %v at resolution %d: %w", lat, lng, resolution, err)
	}
	return world.Cell(cell), nil
}

// Valid says whether cell is an H3 cell (of any resolution).
func Valid(cell world.Cell) bool { return h3.Cell(cell).IsValid() }

// Resolution is the cell's, 0..15.
func Resolution(cell world.Cell) int { return h3.Cell(cell).Resolution() }

// Pentagon says whether the cell is one of the twelve pentagons of its resolution.
func Pentagon(cell world.Cell) bool { return h3.Cell(cell).IsPentagon() }

// Disk gives the cell and those within k steps of it: 1+3k(k+1) cells, fewer
// around a pentagon, in no particular order. Of what is no cell it gives none.
func Disk(cell world.Cell, k int) []world.Cell {
	return AppendDisk(nil, cell, k)
}

// AppendDisk is Disk into dst.
func AppendDisk(dst []world.Cell, cell world.Cell, k int) []world.Cell {
	if k < 0 || !Valid(cell) {
		return dst
	}
	found, err := h3.GridDisk(h3.Cell(cell), k)
	if err != nil {
		return dst
	}
	for _, c := range found {
		dst = append(dst, world.Cell(c))
	}
	return dst
}

// Distance is the number of steps from a to b. ok is false where H3 does not
// define it: different resolutions, too far apart, or around a pentagon.
func Distance(a, b world.Cell) (steps int, ok bool) {
	steps, err := h3.GridDistance(h3.Cell(a), h3.Cell(b))
	return steps, err == nil
}

// Center is the middle of a cell.
func Center(cell world.Cell) (world.Geo, error) {
	if !Valid(cell) {
		return world.Geo{}, noCell(cell)
	}
	at, err := h3.CellToLatLng(h3.Cell(cell))
	if err != nil {
		return world.Geo{}, fmt.Errorf("center of cell %x: %w", uint64(cell), err)
	}
	return world.Geo{Lat: at.Lat, Lng: at.Lng}, nil
}

// Boundary gives the corners of a cell, anticlockwise: six, five of a pentagon,
// and up to ten where the cell crosses edges of H3's icosahedron.
func Boundary(cell world.Cell) ([]world.Geo, error) {
	if !Valid(cell) {
		return nil, noCell(cell)
	}
	corners, err := h3.CellToBoundary(h3.Cell(cell))
	if err != nil {
		return nil, fmt.Errorf("boundary of cell %x: %w", uint64(cell), err)
	}
	boundary := make([]world.Geo, len(corners))
	for i, at := range corners {
		boundary[i] = world.Geo{Lat: at.Lat, Lng: at.Lng}
	}
	return boundary, nil
}

// noCell: the library takes some numbers for cells that are none.
func noCell(index world.Cell) error {
	return fmt.Errorf("%x is no H3 cell", uint64(index))
}
