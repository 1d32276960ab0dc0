package world

// ShardMap says which shard a cell belongs to: the parent at BaseResolution.
// (Shards of mixed resolution come with splitting and merging.)
type ShardMap struct {
	Version        uint64
	CellResolution int // of interest cells, default 10
	BaseResolution int // of shards, default 7
}

// DefaultShardMap has cells of resolution 10 (edge about 76 m) in shards of
// resolution 7 (edge about 1.4 km).
func DefaultShardMap() ShardMap {
	return ShardMap{Version: 1, CellResolution: 10, BaseResolution: 7}
}

// Shard gives the shard of a cell in a place (0: the map).
func (m ShardMap) Shard(place PlaceID, cell Cell) ShardID {
	if place != 0 {
		return ShardID{Place: place}
	}
	return ShardID{Cell: Parent(uint64(cell), m.BaseResolution)}
}

// Parent gives the ancestor of an H3 index at a coarser resolution by bit
// operations on the index: resolution in bits 52..55, three bits a digit, unused
// digits all ones. Source: H3 documentation, "H3Index bit layout".
func Parent(index uint64, resolution int) uint64 {
	const resolutionShift = 52
	own := int(index>>resolutionShift) & 0xf
	if resolution >= own {
		return index
	}
	index = index&^(uint64(0xf)<<resolutionShift) | uint64(resolution)<<resolutionShift
	return index | (uint64(1)<<(3*(15-resolution)) - 1)
}
