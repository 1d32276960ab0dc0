package hub

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// image is what is in a cell: the latest state of each entity, as the bytes
// that a baseline tells of it. It is shared by all who watch the cell.
type image struct {
	entities map[world.EntityID]*entityState
	bytes    int // about the size of a baseline's steps
	scratch  []byte
}

// entityState keeps the fields of an Update, encoded.
type entityState struct {
	version world.Version
	body    []byte // entity, version, pose, holder, frozen
	kind    []byte
	attrs   []byte
	person  bool // it stands for a participant
}

// avatarKind is the field "kind" of those that stand for participants.
var avatarKind = append([]byte{byte(updateKind)<<3 | byte(protowire.BytesType), 6}, "avatar"...)

func newImage() *image { return &image{entities: make(map[world.EntityID]*entityState)} }

func (m *image) clear() {
	clear(m.entities)
	m.bytes = 0
}

// apply changes the image by one update. The bytes are copied: an entity must
// not keep a whole message alive.
func (m *image) apply(update []byte) (h updateHead, ok bool) {
	h, m.scratch, ok = parseUpdate(update, m.scratch[:0])
	if !ok || h.entity == 0 {
		return h, false
	}
	state := m.entities[h.entity]
	if state != nil && h.version.Less(state.version) {
		return h, true
	}
	if change := starlingv1.Change(h.change); change == starlingv1.Change_LEFT || change == starlingv1.Change_REMOVED {
		if state != nil {
			m.bytes -= state.size()
			delete(m.entities, h.entity)
		}
		return h, true
	}
	if state == nil {
		state = &entityState{}
		m.entities[h.entity] = state
	} else {
		m.bytes -= state.size()
	}
	state.version = h.version
	state.body = append(state.body[:0], m.scratch...)
	if h.kind != nil {
		state.kind = append(state.kind[:0], h.kind...)
		state.person = bytes.Equal(h.kind, avatarKind)
	}
	if h.attrs != nil {
		state.attrs = append(state.attrs[:0], h.attrs...)
	}
	m.bytes += state.size()
	return h, true
}

// size is that of the encoded step, at most.
func (e *entityState) size() int { return len(e.body) + len(e.kind) + len(e.attrs) + 2 + 8 }

// appendSteps appends a step PRESENT for each entity.
func (m *image) appendSteps(dst []byte) []byte {
	for _, e := range m.entities {
		dst = e.appendStep(dst, true)
	}
	return dst
}

// appendWhole appends the step of an update with kind and attributes, as a step
// PRESENT: of two fields with one number the last counts.
func appendWhole(dst, update []byte, head updateHead, e *entityState) []byte {
	var attrs []byte
	if head.attrs == nil {
		attrs = e.attrs
	}
	size := len(update) + len(e.kind) + len(attrs) + 2
	dst = append(dst, tagSteps)
	dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeVarint(uint64(size))+size))
	dst = append(dst, tagUpdate)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = append(append(append(dst, update...), e.kind...), attrs...)
	return append(dst, tagChange, changeIsHere)
}

// appendStep appends the state as a step: PRESENT if it is to be whole, else
// CHANGED, without kind and attributes.
func (e *entityState) appendStep(dst []byte, whole bool) []byte {
	update := len(e.body)
	if whole {
		update += len(e.kind) + len(e.attrs) + 2
	}
	dst = append(dst, tagSteps)
	dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeVarint(uint64(update))+update))
	dst = append(dst, tagUpdate)
	dst = protowire.AppendVarint(dst, uint64(update))
	dst = append(dst, e.body...)
	if whole {
		dst = append(dst, e.kind...)
		dst = append(dst, e.attrs...)
		dst = append(dst, tagChange, changeIsHere)
	}
	return dst
}
