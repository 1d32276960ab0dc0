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
	capital      bool   // it has capitals, or letters and digits
	small        uint8  // what the vocabulary says of it where it is written small: vocabulary.Never, Beside
	nameless     bool   // it is no part of a name
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
		facts := v.Facts(d.Terms[t.Term].Vocabulary)
		w := word{
			hash: t.Word, suffix: t.Suffix, prefix: t.Prefix | 0x20202020, shape: uint32(t.Shape),
			cluster: uint32(facts.Cluster), tag: uint32(t.Tag), rarity: uint32(facts.Rarity >> 3),
		}
		if t.Small() {
			w.small = facts.Nameless
		} else {
			w.capital = true
		}
		words = append(words, w)
	}
	words = append(words, outside, outside)
	for i := window; i < len(words)-window; i++ {
		w := &words[i]
		w.nameless = w.small == vocabulary.Never || w.small == vocabulary.Beside && !words[i-1].capital && !words[i+1].capital
	}
	words[window].shape |= sentenceStart
	return words
}

// mix spreads a feature of a template over 32 bits (multiplicative hashing, the upper
// half of the product).
func mix(template uint32, key uint64) uint32 {
	return uint32((key + uint64(template)*0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93 >> 32)
}

func pair(a, b uint32) uint64 { return uint64(a)<<32 | uint64(b) }

// most is the number of features of a word.
const most = 20

// features gives the features of word i.
func features(f *[most]uint32, words []word, i int) {
	w := words[i-1 : i+3 : i+3]
	b, a, n, nn := &w[0], &w[1], &w[2], &w[3]
	f[0] = mix(1, pair(a.hash, a.shape))
	f[1] = mix(2, uint64(b.hash))
	f[2] = mix(3, uint64(n.hash))
	f[3] = mix(4, pair(b.hash, a.hash))
	f[4] = mix(5, pair(a.hash, n.hash))
	f[5] = mix(6, uint64(a.suffix&0xffffff))
	f[6] = mix(7, pair(a.suffix&0xffff, a.shape))
	f[7] = mix(8, uint64(a.prefix&0xffffff))
	f[8] = mix(9, uint64(a.shape|b.shape<<9|n.shape<<18))
	f[9] = mix(10, pair(a.cluster, a.shape))
	f[10] = mix(11, pair(a.cluster>>6, a.shape))
	f[11] = mix(12, uint64(b.cluster))
	f[12] = mix(13, uint64(n.cluster))
	f[13] = mix(14, uint64(a.tag|b.tag<<8|n.tag<<16))
	f[14] = mix(15, pair(a.tag, a.shape))
	f[15] = mix(16, pair(b.hash, a.shape))
	f[16] = mix(17, pair(n.hash, a.shape))
	f[17] = mix(18, pair(a.rarity, a.shape))
	f[18] = mix(19, uint64(a.tag|n.tag<<8|nn.tag<<16))
	f[19] = mix(20, pair(n.suffix&0xffffff, a.shape))
}
