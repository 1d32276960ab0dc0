package entity

import (
	"slices"

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
	capital      uint8  // 1 if it has capitals, or letters and digits
	small        uint8  // what the vocabulary says of it where it is written small: vocabulary.Never, Beside
}

var outside = word{shape: 0x100}

const (
	window        = 2
	sentenceStart = 0x10
)

// describe gives the words of a sentence with window outside ones on either side. Tokens
// are outside of entities from then on.
func describe(words []word, d *document.Document, s document.Sentence, v *vocabulary.Vocabulary) []word {
	tokens := d.Tokens[s.Start:s.End]
	n := len(tokens) + 2*window
	words = slices.Grow(words[:0], n)[:n]
	words[0], words[1], words[n-2], words[n-1] = outside, outside, outside, outside
	inner := words[window : n-window]
	for i := range inner {
		t, w := &tokens[i], &inner[i]
		facts := v.Facts(d.Terms[t.Term].Vocabulary)
		// Field by field: a struct made first would be copied in pieces wider than it was
		// written in, which wait for the cache.
		w.hash, w.suffix, w.prefix, w.shape = t.Word, t.Suffix, t.Prefix|0x20202020, uint32(t.Shape)
		w.cluster, w.tag, w.rarity = uint32(facts.Cluster), uint32(t.Tag), uint32(facts.Rarity>>3)
		small := uint8(0)
		if t.Small() {
			small = 1
		}
		w.small, w.capital = facts.Nameless&-small, 1-small
		t.Entity = 0
	}
	words[window].shape |= sentenceStart
	return words
}

// named is 1 if word i may be part of a name, 0 if not.
func named(words []word, i int) uint8 {
	w := words[i-1 : i+2 : i+2]
	never, beside := w[1].small&vocabulary.Never, w[1].small&vocabulary.Beside/vocabulary.Beside
	return (1 - never) & (1 - beside | w[0].capital | w[2].capital)
}

// candidates gives the words of a sentence, by their places in it, that may be part of a
// name. Words are those of describe.
func candidates(places []uint32, words []word) []uint32 {
	n := 0
	places = slices.Grow(places[:0], len(words))[:len(words)]
	for i := window; i < len(words)-window; i++ {
		places[n] = uint32(i - window) // stays if it may
		n += int(named(words, i))
	}
	return places[:n]
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
