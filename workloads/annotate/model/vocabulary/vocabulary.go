// Package vocabulary numbers the words that the models of annotation know and keeps
// what is known of each: how rare it is, which words it is like, and the tags it takes.
package vocabulary

import (
	"fmt"
	"math"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/hugepages"
	"github.com/starling-vr/starling/workloads/annotate/model/prefetch"
)

// Words are the words of a vocabulary, by number; number 0 stands for all others.
// All slices have the same length.
type Words struct {
	// Hash is the word's document.Hash; that of number 0 does not count.
	Hash []uint32
	// Cluster is a leaf of a tree of words that are used alike: bits 0 to 10 number
	// the leaf, and shifting it by 3 and by 6 gives the clusters above. 0 is none.
	Cluster []uint16
	// Class numbers the set of tags that the word took in the training text, 0 where
	// it was too rare to say.
	Class []uint8
	// Only is the one tag of a word that takes but one, NoTag for others.
	Only []document.Tag
	// Nameless says of the word where it is small (document.Token.Small): Never part of a
	// name, or only Beside a word that is not small; 0 where nothing is known.
	Nameless []uint8
	// Rarity is 16 times the inverse document frequency in nats, estimated from the
	// word's rank by Zipf's law.
	Rarity []uint8
}

// Values of Nameless.
const (
	Never  = 1
	Beside = 2
)

// Vocabulary finds words by hash.
type Vocabulary struct {
	Words
	facts []Facts
	slots []slot
	shift uint32
}

// Facts are what Words has of one word, side by side in memory.
type Facts struct {
	Cluster  uint16
	Class    uint8
	Only     document.Tag
	Nameless uint8
	Rarity   uint8
}

// Facts gives what is known of the word of a number.
func (v *Vocabulary) Facts(number uint32) Facts { return v.facts[number] }

type slot struct{ hash, number uint32 }

// New indexes words. It fails when there are none, too many (2^24), or slices differ in length.
func New(w Words) (*Vocabulary, error) {
	n := len(w.Hash)
	if n == 0 || n > 1<<24 || len(w.Cluster) != n || len(w.Class) != n || len(w.Only) != n || len(w.Nameless) != n || len(w.Rarity) != n {
		return nil, fmt.Errorf("vocabulary: lengths %d, %d, %d, %d, %d, %d do not make a vocabulary",
			n, len(w.Cluster), len(w.Class), len(w.Only), len(w.Nameless), len(w.Rarity))
	}
	v := &Vocabulary{Words: w, shift: 31}
	size := 2
	for size < 2*n {
		size, v.shift = size*2, v.shift-1
	}
	v.slots, v.facts = hugepages.Make[slot](size), hugepages.Make[Facts](n)
	for i := range n {
		v.facts[i] = Facts{w.Cluster[i], w.Class[i], w.Only[i], w.Nameless[i], w.Rarity[i]}
	}
	for i := 1; i < n; i++ {
		if w.Only[i] >= document.Tag(document.Tags) {
			return nil, fmt.Errorf("vocabulary: word %d has tag %d", i, w.Only[i])
		}
		v.insert(w.Hash[i], uint32(i))
	}
	return v, nil
}

func (v *Vocabulary) insert(hash, number uint32) {
	mask := uint32(len(v.slots) - 1)
	at := v.place(hash)
	for v.slots[at].number != 0 {
		if v.slots[at].hash == hash {
			return
		}
		at = (at + 1) & mask
	}
	v.slots[at] = slot{hash, number}
}

// Len is the number of words, with number 0.
func (v *Vocabulary) Len() int { return len(v.Hash) }

// Number gives the number of the word with a hash, 0 if there is none.
func (v *Vocabulary) Number(hash uint32) uint32 {
	mask := uint32(len(v.slots) - 1)
	for at := v.place(hash); ; at = (at + 1) & mask {
		if s := &v.slots[at]; s.number == 0 || s.hash == hash {
			return s.number
		}
	}
}

// Assign writes the number of each term of the document. It comes before the
// functions of all models, once a document.
func (v *Vocabulary) Assign(d *document.Document) {
	const ahead = 32
	var places [ahead]uint32
	for rest := d.Terms; len(rest) > 0; {
		some := rest[:min(ahead, len(rest))]
		for i := range some {
			places[i] = v.place(some[i].Word)
		}
		prefetch.Lines(v.slots, places[:len(some)], math.MaxUint32)
		for i := range some {
			places[i] = v.Number(some[i].Word)
			some[i].Vocabulary = places[i]
		}
		prefetch.Lines(v.facts, places[:len(some)], math.MaxUint32) // for tags and names
		rest = rest[len(some):]
	}
}

// place is where the search for a word begins.
func (v *Vocabulary) place(hash uint32) uint32 { return hash * 0x9e3779b1 >> v.shift }

// RarityOfRank gives the Rarity of the word of a rank (from 0 on) among words
// by frequency. By Zipf's law the word of rank r is one in (r+1)·H(V) of a text
// (H(V): the harmonic number of the vocabulary, about 13); the inverse document
// frequency is that of a document of 300 words holding it.
func RarityOfRank(rank int) uint8 {
	share := 1 / (float64(rank+1) * 13)
	holds := 1 - math.Pow(1-share, 300)
	return uint8(min(255, math.Round(-16*math.Log(holds))))
}
