package training

import (
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/entity"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// Thresholds of what is said of a word by what it was in the training text.
const (
	classFrom    = 3  // occurrences from which on a word has a class
	classShare   = 20 // one in so many occurrences makes a tag part of the class
	onlyFrom     = 4
	onlyOf       = 1000
	onlyAtLeast  = 980 // of onlyOf: occurrences with one and the same tag
	namelessFrom = 4
	besideFrom   = 15
	listedFrom   = 2 // occurrences from which on a word without a vector gets a number
)

// numbered is a vocabulary in the making.
type numbered struct {
	vocabulary.Words
	number map[uint32]uint32
	vector []int // by number: the word of the vectors, -1 if none
}

func (n *numbered) add(hash uint32, vector int, cluster uint16, rarity uint8) {
	if n.number[hash] != 0 {
		return
	}
	n.number[hash] = uint32(len(n.Hash))
	n.Hash, n.Cluster, n.Rarity = append(n.Hash, hash), append(n.Cluster, cluster), append(n.Rarity, rarity)
	n.vector = append(n.vector, vector)
}

// number gives words numbers, by the vectors' order (the most frequent first), then
// those of the tagged text in its own.
func number(v *Vectors, tagged []speech.Sentence, named []entity.Sentence, rng *rand.Rand) *numbered {
	n := &numbered{number: map[uint32]uint32{}}
	n.Hash, n.Cluster, n.Rarity, n.vector = []uint32{0}, []uint16{0}, []uint8{255}, []int{-1}
	leaves := clusterWords(v, 8, rng)
	for i, w := range v.Words {
		n.add(document.HashString(w), i, leaves[i], vocabulary.RarityOfRank(i))
	}
	n.list(tagged)
	n.Class, n.Only = make([]uint8, len(n.Hash)), make([]document.Tag, len(n.Hash))
	n.classify(tagged)
	n.Nameless = make([]uint8, len(n.Hash))
	n.findNameless(named)
	return n
}

// list numbers words of the tagged text that have no vector.
func (n *numbered) list(tagged []speech.Sentence) {
	seen := map[uint32]int{}
	for _, s := range tagged {
		for _, w := range s.Words {
			h := document.HashString(w)
			if seen[h]++; seen[h] == listedFrom {
				n.add(h, -1, 0, vocabulary.RarityOfRank(100_000))
			}
		}
	}
}

func (n *numbered) classify(tagged []speech.Sentence) {
	counts := make([][document.Tags]int32, len(n.Hash))
	for _, s := range tagged {
		for i, w := range s.Words {
			counts[n.number[document.HashString(w)]][s.Tags[i]]++
		}
	}
	classes := map[[document.Tags]bool]uint8{}
	for i := 1; i < len(counts); i++ {
		var total, most int32
		best := 0
		for t, c := range counts[i] {
			total += c
			if c > most {
				best, most = t, c
			}
		}
		if total < classFrom {
			continue
		}
		n.Class[i] = classOf(&counts[i], total, classes)
		if total >= onlyFrom && most*onlyOf >= total*onlyAtLeast {
			n.Only[i] = document.Tag(best)
		}
	}
}

// classOf numbers sets of tags as they come; when numbers run out the rest share the last.
func classOf(counts *[document.Tags]int32, total int32, classes map[[document.Tags]bool]uint8) uint8 {
	var set [document.Tags]bool
	for t, c := range counts {
		set[t] = c*classShare >= total
	}
	if c, ok := classes[set]; ok {
		return c
	}
	c := uint8(min(len(classes)+1, 255))
	classes[set] = c
	return c
}

// findNameless says of words what they are where they are written small: seen often
// enough, never part of a name, or only beside a word that is not small.
func (n *numbered) findNameless(named []entity.Sentence) {
	outside, inside := make([]int, len(n.Hash)), make([]int, len(n.Hash))
	var d document.Document
	for _, s := range named {
		d.Reset()
		d.AppendWords(s.Words)
		for i := range d.Tokens {
			t := &d.Tokens[i]
			if !t.Small() {
				continue
			}
			k := n.number[t.Word]
			if s.Marks[i] == 0 {
				outside[k]++
			} else {
				inside[k]++
			}
		}
	}
	for i := 1; i < len(n.Hash); i++ {
		switch {
		case inside[i] == 0 && outside[i] >= namelessFrom:
			n.Nameless[i] = vocabulary.Never
		case outside[i] >= besideFrom:
			n.Nameless[i] = vocabulary.Beside
		}
	}
}
