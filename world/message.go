package world

import clusterv1 "github.com/starling-vr/starling/api/cluster/v1"

// ShardMessage is a shard's id for the wire.
func ShardMessage(id ShardID) *clusterv1.ShardId {
	return &clusterv1.ShardId{Place: uint64(id.Place), Cell: id.Cell}
}

// ShardOf reads a shard's id off the wire; nil is the zero id, register 0.
func ShardOf(id *clusterv1.ShardId) ShardID {
	return ShardID{Place: PlaceID(id.GetPlace()), Cell: id.GetCell()}
}

// RegisterOf is the part of the register that a participant is in: FNV-1a, 64
// bits, modulo their number.
func RegisterOf(participant string) ShardID {
	const offset, prime = 14695981039346656037, 1099511628211
	hash := uint64(offset)
	for i := range len(participant) {
		hash = (hash ^ uint64(participant[i])) * prime
	}
	return ShardID{Cell: hash % RegisterShards}
}
