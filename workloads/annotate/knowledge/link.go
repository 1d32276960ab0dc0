package knowledge

import (
	"github.com/starling-vr/starling/workloads/annotate/document"
)

// paired is how many entities of a document become companions of each other.
const paired = 8

// Linker links the entities of one document at a time. It holds storage; the zero
// value with a Base is ready.
type Linker struct {
	Base *Base
	seen []sighting
}

// sighting is a distinct entity of the document.
type sighting struct {
	id     uint64
	before uint32
	at     uint32 // its entry, unless it was forgotten since
}

// Link gives each entity of the document its ID, counts the document for each of
// them, and says how many documents before mentioned it.
func (l *Linker) Link(d *document.Document) {
	l.seen = l.seen[:0]
	now := uint32(l.Base.now().Unix())
	for i := range d.Entities {
		e := &d.Entities[i]
		e.ID = l.resolve(d, i, now)
		e.Seen = l.sight(d, e, now)
	}
	l.Base.linked.Add(uint64(len(d.Entities)))
	pairs := l.seen[:min(len(l.seen), paired)]
	for i := range pairs {
		l.Base.accompany(pairs, i)
	}
}

// sight counts the entity, once a document.
func (l *Linker) sight(d *document.Document, e *document.Entity, now uint32) uint32 {
	for i := range l.seen {
		if l.seen[i].id == e.ID {
			return l.seen[i].before
		}
	}
	before, at := l.Base.see(e.ID, e.Kind, name(d, e), now)
	if len(l.seen) < 256 {
		l.seen = append(l.seen, sighting{e.ID, before, at})
	}
	return before
}

// resolve finds what a mention means.
func (l *Linker) resolve(d *document.Document, i int, now uint32) uint64 {
	e := &d.Entities[i]
	for j := i - 1; j >= 0 && j >= i-64; j-- {
		if longer := &d.Entities[j]; longer.Kind == e.Kind && shortOf(d, e, longer) {
			return longer.ID
		}
	}
	id := identify(d, e)
	if e.End-e.Start == 1 && d.Tokens[e.Start].Shape == document.Capitals {
		if long := l.introduced(d, i); long != 0 {
			l.Base.rename(id, long, now)
			return long
		}
		if long := l.Base.standsFor(id); long != 0 {
			return long
		}
	}
	return id
}

// shortOf says whether e is a shorter form of longer: fewer words, its last ones
// (the first ones, too, of a person).
func shortOf(d *document.Document, e, longer *document.Entity) bool {
	n, m := e.End-e.Start, longer.End-longer.Start
	if n >= m {
		return false
	}
	if same(d, e.Start, longer.End-n, n) {
		return e.Kind == document.Person
	}
	return same(d, e.Start, longer.Start, n) && e.Kind != document.Location
}

func same(d *document.Document, a, b, n uint32) bool {
	for i := range n {
		if d.Tokens[a+i].Word != d.Tokens[b+i].Word {
			return false
		}
	}
	return true
}

// introduced gives the entity whose acronym mention i is, in brackets behind it.
func (l *Linker) introduced(d *document.Document, i int) uint64 {
	e := &d.Entities[i]
	if i == 0 || e.Start == 0 || d.Text[d.Tokens[e.Start-1].Start] != '(' {
		return 0
	}
	long := &d.Entities[i-1]
	if long.End != e.Start-1 {
		return 0
	}
	acronym := d.TokenBytes(int(e.Start))
	at := 0
	for t := long.Start; t < long.End; t++ {
		c := d.Text[d.Tokens[t].Start]
		if at < len(acronym) && c|32 == acronym[at]|32 {
			at++
		} else if c >= 'A' && c <= 'Z' {
			return 0
		}
	}
	if at != len(acronym) || at < 2 {
		return 0
	}
	return long.ID
}

// identify gives the ID of a mention: FNV-1a, 64 bits, of its kind and its tokens'
// bytes, small and capital letters of ASCII alike, a space between tokens. It is
// never 0.
func identify(d *document.Document, e *document.Entity) uint64 {
	h := (uint64(14695981039346656037) ^ uint64(e.Kind)) * fnvPrime
	for i := e.Start; i < e.End; i++ {
		if i > e.Start {
			h = (h ^ ' ') * fnvPrime
		}
		for _, c := range d.TokenBytes(int(i)) {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			h = (h ^ uint64(c)) * fnvPrime
		}
	}
	h ^= h >> 32 // so that the low bits, which choose the shard, depend on all
	return max(h, 1)
}

const fnvPrime = 1099511628211

func name(d *document.Document, e *document.Entity) []byte {
	b := d.Bytes(e.Start, e.End)
	if len(b) <= MaxName {
		return b
	}
	n := MaxName
	for n > 0 && b[n]&0xc0 == 0x80 {
		n--
	}
	return b[:n]
}
