// Package knowledge links the entities of documents to what was seen before.
//
// A Base numbers each name of each kind: the same name gets the same ID in every
// document, every process and every run (the ID is a hash of kind and words). It
// counts the documents that mention it and keeps what it is mentioned with most.
// Shorter forms are linked to longer ones of the same document ("Lopez" to "Maria
// Lopez"), acronyms to the name that introduced them ("European Central Bank (ECB)"),
// in that document and in later ones.
//
// Memory is bounded by Options.Entities: when a shard is full, the entry that was not
// mentioned for longest, by the clock algorithm (Corbató, 1968), makes room. Its count
// is lost, its ID is not.
package knowledge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// MaxName is the number of bytes of a name that are kept.
const MaxName = 64

// related is how many companions an entity keeps.
const related = 6

// Options of a Base. The zero value is usable.
type Options struct {
	// Entities is how many are kept at most. Default 100,000 (about 30 MB).
	Entities int
	// Now tells the time. Default time.Now.
	Now func() time.Time
}

// Base is a knowledge base. Its methods may be called from many goroutines.
type Base struct {
	shards  [shards]shard
	now     func() time.Time
	linked  atomic.Uint64
	created atomic.Uint64
	evicted atomic.Uint64
}

const shards = 64

// shard holds the entities whose IDs end in its number.
type shard struct {
	mu      sync.Mutex
	index   map[uint64]uint32
	entries []entry
	limit   int
	hand    uint32
	aliases map[uint64]alias
}

type entry struct {
	id          uint64
	documents   uint32
	kind        document.EntityKind
	recent      bool // mentioned since the hand passed
	size        uint8
	first, last uint32 // seconds since 1970
	name        [MaxName]byte
	companions  [related]Companion
}

type alias struct {
	id   uint64
	last uint32
}

// Companion is an entity that is mentioned in the same documents as another.
type Companion struct {
	ID    uint64 `json:"-"`
	Count uint32 `json:"count"`
}

// Entity is what a Base knows of one.
type Entity struct {
	ID          uint64
	Kind        document.EntityKind
	Name        string
	Documents   uint32 // that mention it
	First, Last time.Time
	Companions  []Companion // in no order
}

// New makes a base.
func New(o Options) *Base {
	if o.Entities <= 0 {
		o.Entities = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Base{now: o.Now}
	for i := range b.shards {
		b.shards[i] = shard{index: map[uint64]uint32{}, aliases: map[uint64]alias{}, limit: max(1, o.Entities/shards)}
	}
	return b
}

func (b *Base) shard(id uint64) *shard { return &b.shards[id%shards] }

// Get tells what is known of an entity.
func (b *Base) Get(id uint64) (Entity, bool) {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.index[id]
	if !ok {
		return Entity{}, false
	}
	return s.entries[at].entity(), true
}

func (e *entry) entity() Entity {
	known := Entity{
		ID: e.id, Kind: e.kind, Name: string(e.name[:e.size]), Documents: e.documents,
		First: time.Unix(int64(e.first), 0), Last: time.Unix(int64(e.last), 0),
	}
	for _, c := range e.companions {
		if c.ID != 0 {
			known.Companions = append(known.Companions, c)
		}
	}
	return known
}

// Counts are sums over the life of a Base.
type Counts struct {
	Entities int    // kept now
	Linked   uint64 // mentions that were linked
	Created  uint64 // entities seen for the first time, or again after they were forgotten
	Evicted  uint64 // entities forgotten
}

// Counts tells how full the base is and what it did.
func (b *Base) Counts() Counts {
	c := Counts{Linked: b.linked.Load(), Created: b.created.Load(), Evicted: b.evicted.Load()}
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		c.Entities += len(s.entries)
		s.mu.Unlock()
	}
	return c
}

// see counts a document that mentions the entity, and says how many did before, and
// where in its shard the entity is.
func (b *Base) see(id uint64, kind document.EntityKind, name []byte, now uint32) (before, at uint32) {
	s := b.shard(id)
	s.mu.Lock()
	at, ok := s.index[id]
	if !ok {
		var evicted bool
		at, evicted = s.place()
		s.index[id] = at
		e := &s.entries[at]
		*e = entry{id: id, kind: kind, first: now} // recent only when mentioned again
		e.size = uint8(copy(e.name[:], name))
		b.created.Add(1)
		if evicted {
			b.evicted.Add(1)
		}
	}
	e := &s.entries[at]
	before = e.documents
	e.documents++
	e.last, e.recent = now, ok
	s.mu.Unlock()
	return before, at
}

// place makes room for one more entry; with the lock held.
func (s *shard) place() (at uint32, evicted bool) {
	if len(s.entries) < s.limit {
		s.entries = append(s.entries, entry{})
		return uint32(len(s.entries) - 1), false
	}
	for {
		at = s.hand
		s.hand = (s.hand + 1) % uint32(len(s.entries))
		if e := &s.entries[at]; !e.recent {
			delete(s.index, e.id)
			return at, true
		}
		s.entries[at].recent = false
	}
}

// accompany notes that the entities of seen, except itself, are mentioned beside number
// i of them. The rarest companion makes room (Metwally et al., "Efficient computation of
// frequent and top-k elements in data streams", 2005).
func (b *Base) accompany(seen []sighting, i int) {
	s := b.shard(seen[i].id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := seen[i].at
	if s.entries[at].id != seen[i].id { // forgotten, and perhaps seen again elsewhere
		var ok bool
		if at, ok = s.index[seen[i].id]; !ok {
			return
		}
	}
	companions := &s.entries[at].companions
	for j := range seen {
		if j != i {
			meet(companions, seen[j].id)
		}
	}
}

func meet(companions *[related]Companion, other uint64) {
	least := 0
	for i := range companions {
		if companions[i].ID == other {
			companions[i].Count++
			return
		}
		if companions[i].Count < companions[least].Count {
			least = i
		}
	}
	companions[least].ID = other
	companions[least].Count++
}

// rename notes that the name with hash stands for id from now on.
func (b *Base) rename(hash, id uint64, now uint32) {
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.aliases[hash]; !ok && len(s.aliases) >= max(1, s.limit/4) {
		for old := range s.aliases { // any one: what is used comes back
			delete(s.aliases, old)
			break
		}
	}
	s.aliases[hash] = alias{id, now}
}

// standsFor gives what the name with hash stands for, 0 if nothing is known.
func (b *Base) standsFor(hash uint64) uint64 {
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aliases[hash].id
}
