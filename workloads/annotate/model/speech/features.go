package speech

import (
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// word is what the tagger knows of a token before it tags any.
type word struct {
	hash, suffix uint32
	prefix       uint32 // in small letters
	shape        uint32
	cluster      uint32
	class        uint32
	only         document.Tag
}

// outside stands for what is before a sentence and after it.
var outside = word{shape: 0x100}

// window is the number of words looked at on either side.
const window = 2

// sentenceStart is added to the shape of a sentence's first word.
const sentenceStart = 0x10

// describe gives the words of a sentence with window outside ones on either side.
func describe(words []word, d *document.Document, s document.Sentence, v *vocabulary.Vocabulary) []word {
	words = append(words[:0], outside, outside)
	for i := s.Start; i < s.End; i++ {
		t := &d.Tokens[i]
		n := d.Terms[t.Term].Vocabulary
		words = append(words, word{
			hash: t.Word, suffix: t.Suffix, prefix: t.Prefix | 0x20202020, shape: uint32(t.Shape),
			cluster: uint32(v.Cluster[n]), class: uint32(v.Class[n]), only: v.Only[n],
		})
	}
	words[window].shape |= sentenceStart
	return append(words, outside, outside)
}

// mix spreads a feature of a template over 32 bits (multiplicative hashing, the upper
// half of the product).
func mix(template uint32, key uint64) uint32 {
	return uint32((key + uint64(template)*0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93 >> 32)
}

func pair(a, b uint32) uint64 { return uint64(a)<<32 | uint64(b) }

// most is the number of features of a word.
const most = 37

// appendFixed appends the features of word i that need no tags.
func appendFixed(f []uint32, words []word, i int) []uint32 {
	w := words[i-2 : i+3 : i+3]
	bb, b, a, n, nn := &w[0], &w[1], &w[2], &w[3], &w[4]
	return append(f,
		mix(1, uint64(a.hash)),
		mix(2, uint64(a.suffix)),
		mix(3, uint64(a.suffix&0xffffff)),
		mix(4, uint64(a.suffix&0xffff)),
		mix(5, pair(a.suffix&0xff, a.shape)),
		mix(6, uint64(a.prefix&0xffffff)),
		mix(7, uint64(a.prefix&0xffff)),
		mix(8, pair(a.shape, b.shape<<8|n.shape)),
		mix(9, uint64(a.cluster)),
		mix(10, pair(a.cluster>>6, a.shape)),
		mix(11, uint64(b.hash)),
		mix(12, uint64(n.hash)),
		mix(13, uint64(bb.hash)),
		mix(14, uint64(nn.hash)),
		mix(15, pair(a.hash, b.hash)),
		mix(16, pair(a.hash, n.hash)),
		mix(17, pair(b.hash, n.hash)),
		mix(18, uint64(b.suffix&0xffffff)),
		mix(19, uint64(n.suffix&0xffffff)),
		mix(20, pair(n.class, nn.class)),
		mix(21, pair(a.class, n.class)),
		mix(22, uint64(n.cluster>>3)),
		mix(23, uint64(b.cluster>>3)),
		mix(24, pair(a.cluster>>3, n.cluster>>6)),
		mix(25, pair(a.hash, a.shape)),
		mix(26, pair(a.cluster>>3, a.shape)),
		mix(27, pair(a.class, n.shape<<16|a.shape)),
		mix(28, pair(a.suffix&0xffffff, a.shape)),
	)
}

// appendMoving appends the features of word i that need the tags of the one before it
// and of the one before that.
func appendMoving(f []uint32, words []word, i int, before, earlier document.Tag) []uint32 {
	w := words[i : i+2 : i+2]
	a, n := &w[0], &w[1]
	p, pp := uint32(before), uint32(earlier)
	return append(f,
		mix(40, uint64(p)),
		mix(41, pair(p, pp)),
		mix(42, pair(a.hash, p)),
		mix(43, pair(a.suffix&0xffffff, p)),
		mix(44, pair(n.hash, p)),
		mix(45, pair(a.class, p|n.class<<8)),
		mix(46, pair(a.hash, p<<8|pp)),
		mix(47, pair(a.class, p|pp<<8)),
		mix(48, pair(a.cluster>>3, p|a.shape<<8)),
	)
}
