// Package world holds what the world is made of: entities, cells, shards, and
// the interface of the log that each shard is kept in. It has no cgo; what
// needs the H3 library is in world/hex.
package world

import (
	"fmt"
	"strconv"
	"strings"
)

// EntityID names an entity for good. 0 names none.
type EntityID uint64

// SessionID names a session of a participant for good. 0 names none.
type SessionID uint64

// PlaceID names a place. 0 is the map itself.
type PlaceID uint64

// Cell is an H3 index at the world's interest resolution.
type Cell uint64

// RegisterShards is the number of shards that keep the register of
// participants (who is where).
const RegisterShards = 16

// ShardID names a shard. It is one of
//   - a part of the map: Place 0, Cell an H3 ancestor of its cells;
//   - a place, whole: Place set, Cell 0;
//   - a part of the register of participants: Place 0, Cell below
//     RegisterShards (no H3 index is that small).
type ShardID struct {
	Place PlaceID
	Cell  uint64
}

// IsRegister says whether s is a part of the register of participants.
func (s ShardID) IsRegister() bool { return s.Place == 0 && s.Cell < RegisterShards }

// IsPlace says whether s is a place.
func (s ShardID) IsPlace() bool { return s.Place != 0 }

// String gives the text form that ParseShardID reads: "87411e5a4ffffff",
// "place-1f", "register-3".
func (s ShardID) String() string { return string(s.Append(nil)) }

// Append appends what String gives.
func (s ShardID) Append(to []byte) []byte {
	switch {
	case s.IsPlace():
		return strconv.AppendUint(append(to, "place-"...), uint64(s.Place), 16)
	case s.IsRegister():
		return strconv.AppendUint(append(to, "register-"...), s.Cell, 10)
	}
	return strconv.AppendUint(to, s.Cell, 16)
}

// ParseShardID reads what String wrote.
func ParseShardID(text string) (ShardID, error) {
	bad := func() (ShardID, error) {
		return ShardID{}, fmt.Errorf("%q is no shard: want an H3 index in hexadecimal, place-HEX or register-N", text)
	}
	if rest, ok := strings.CutPrefix(text, "place-"); ok {
		n, err := strconv.ParseUint(rest, 16, 64)
		if err != nil || n == 0 {
			return bad()
		}
		return ShardID{Place: PlaceID(n)}, nil
	}
	if rest, ok := strings.CutPrefix(text, "register-"); ok {
		n, err := strconv.ParseUint(rest, 10, 64)
		if err != nil || n >= RegisterShards {
			return bad()
		}
		return ShardID{Cell: n}, nil
	}
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || n < RegisterShards {
		return bad()
	}
	return ShardID{Cell: n}, nil
}

// Version orders what is said of one entity. Receivers keep the highest.
type Version struct {
	Handovers uint32 // times the entity changed its home
	Epoch     uint32 // of the shard's owner
	Sequence  uint64 // of the shard's log
}

// Less orders versions.
func (v Version) Less(w Version) bool {
	if v.Handovers != w.Handovers {
		return v.Handovers < w.Handovers
	}
	if v.Epoch != w.Epoch {
		return v.Epoch < w.Epoch
	}
	return v.Sequence < w.Sequence
}
