package generator

import "math/bits"

// idTable finds small numbers by random 64-bit ids: open addressing, because a
// look-up is made for each delivery. The zero value is empty. The id 0 is never
// found.
type idTable struct {
	slots []idSlot
	count int
}

type idSlot struct {
	id    uint64
	value int32
}

func (t *idTable) at(id uint64) uint64 {
	const golden = 0x9e3779b97f4a7c15 // Fibonacci hashing: Knuth, TAOCP 3, section 6.4
	return (id * golden) >> (64 - bits.Len(uint(len(t.slots)-1)))
}

func (t *idTable) get(id uint64) (value int32, ok bool) {
	if t.count == 0 || id == 0 {
		return 0, false
	}
	for i := t.at(id); ; i = (i + 1) & uint64(len(t.slots)-1) {
		switch s := &t.slots[i]; s.id {
		case id:
			return s.value, true
		case 0:
			return 0, false
		}
	}
}

func (t *idTable) put(id uint64, value int32) {
	if id == 0 {
		return
	}
	if 2*t.count >= len(t.slots) {
		old := t.slots
		t.slots, t.count = make([]idSlot, max(64, 2*len(old))), 0
		for _, s := range old {
			if s.id != 0 {
				t.put(s.id, s.value)
			}
		}
	}
	i := t.at(id)
	for ; t.slots[i].id != 0 && t.slots[i].id != id; i = (i + 1) & uint64(len(t.slots)-1) {
	}
	if t.slots[i].id == 0 {
		t.count++
	}
	t.slots[i] = idSlot{id, value}
}
