package entity

import (
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// word is what is known of a token.
type word struct {
	hash, suffix uint32
	prefix       uint32 // in small letters
	shape        uint32
	cluster      uint32
	tag          uint32
	rarity       uint32 // coarse
	nameless     bool
}

var outside = word{shape: 0x100}

const (
	window        = 2
	sentenceStart = 0x10
)

// describe gives the words of a sentence with window outside ones on either side.
func describe(words []word, d *document.Document, s document.Sentence, v *vocabulary.Vocabulary) []word {
	words = append(words[:0], outside, outside)
	for i := s.Start; i < s.End; i++ {
		t := &d.Tokens[i]
		n := d.Terms[t.Term].Vocabulary
		words = append(words, word{
			hash: t.Word, suffix: t.Suffix, prefix: t.Prefix | 0x20202020, shape: uint32(t.Shape),
			cluster: uint32(v.Cluster[n]), tag: uint32(t.Tag), rarity: uint32(v.Rarity[n] >> 3),
			nameless: v.Nameless[n] != 0 && (t.Shape == document.Lower || t.Shape == document.Mark),
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

// appendFeatures appends the features of word i.
func appendFeatures(f []uint32, words []word, i int) []uint32 {
	w := words[i-2 : i+3 : i+3]
	bb, b, a, n, nn := &w[0], &w[1], &w[2], &w[3], &w[4]
	shapes := a.shape | b.shape<<9 | n.shape<<18
	return append(f,
		mix(1, uint64(a.hash)),
		mix(2, pair(a.hash, a.shape)),
		mix(3, uint64(b.hash)),
		mix(4, uint64(n.hash)),
		mix(5, uint64(bb.hash)),
		mix(6, uint64(nn.hash)),
		mix(7, pair(b.hash, a.hash)),
		mix(8, pair(a.hash, n.hash)),
		mix(9, uint64(a.suffix)),
		mix(10, uint64(a.suffix&0xffffff)),
		mix(11, pair(a.suffix&0xffff, a.shape)),
		mix(12, uint64(a.prefix&0xffffff)),
		mix(13, uint64(shapes)),
		mix(14, uint64(a.shape)),
		mix(15, pair(a.cluster, a.shape)),
		mix(16, uint64(a.cluster>>3)),
		mix(17, pair(a.cluster>>6, a.shape)),
		mix(18, uint64(b.cluster)),
		mix(19, uint64(n.cluster)),
		mix(20, uint64(b.cluster>>3)),
		mix(21, uint64(n.cluster>>3)),
		mix(22, pair(b.cluster>>3, a.cluster>>3)),
		mix(23, pair(a.cluster>>3, n.cluster>>3)),
		mix(24, uint64(a.tag|b.tag<<8|n.tag<<16)),
		mix(25, pair(a.tag, a.shape)),
		mix(26, pair(b.hash, a.shape)),
		mix(27, pair(n.hash, a.shape)),
		mix(28, pair(bb.hash, b.hash)),
		mix(29, pair(n.hash, nn.hash)),
		mix(30, uint64(bb.cluster>>3)),
		mix(31, uint64(nn.cluster>>3)),
		mix(32, pair(a.rarity, a.shape)),
		mix(33, uint64(a.tag|n.tag<<8|nn.tag<<16)),
		mix(34, uint64(a.tag|b.tag<<8|bb.tag<<16)),
		mix(35, pair(a.cluster>>3, b.shape<<16|n.shape)),
		mix(36, pair(n.suffix&0xffffff, a.shape)),
		mix(37, pair(b.suffix&0xffffff, a.shape)),
	)
}
