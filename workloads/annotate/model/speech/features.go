package speech

import (
	"slices"

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
		w.cluster, w.class, w.only = uint32(facts.Cluster), uint32(facts.Class), facts.Only
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

// Numbers of features of a word: those that need no tags, and those that need the tags
// of the word before it and of the one before that.
const (
	fixedFeatures  = 21
	movingFeatures = 8
	most           = fixedFeatures + movingFeatures
)

// fixed gives the features of word i that need no tags.
func fixed(f *[fixedFeatures]uint32, words []word, i int) {
	w := words[i-2 : i+3 : i+3]
	bb, b, a, n, nn := &w[0], &w[1], &w[2], &w[3], &w[4]
	f[0] = mix(1, uint64(a.suffix))
	f[1] = mix(2, uint64(a.suffix&0xffffff))
	f[2] = mix(3, pair(a.suffix&0xff, a.shape))
	f[3] = mix(4, pair(a.suffix&0xffffff, a.shape))
	f[4] = mix(5, uint64(a.prefix&0xffffff))
	f[5] = mix(6, pair(a.shape, b.shape<<8|n.shape))
	f[6] = mix(7, uint64(a.cluster))
	f[7] = mix(8, pair(a.cluster>>3, a.shape))
	f[8] = mix(9, pair(a.hash, a.shape))
	f[9] = mix(10, uint64(b.hash))
	f[10] = mix(11, uint64(n.hash))
	f[11] = mix(12, uint64(bb.hash))
	f[12] = mix(13, uint64(nn.hash))
	f[13] = mix(14, pair(a.hash, b.hash))
	f[14] = mix(15, pair(a.hash, n.hash))
	f[15] = mix(16, uint64(n.suffix&0xffffff))
	f[16] = mix(17, pair(n.class, nn.class))
	f[17] = mix(18, pair(a.class, n.class))
	f[18] = mix(19, pair(a.class, n.shape<<16|a.shape))
	f[19] = mix(20, uint64(b.cluster>>3))
	f[20] = mix(21, pair(a.cluster>>3, n.cluster>>6))
}

// moving gives the features of word i that need the tags of the word before it and of
// the one before that.
func moving(f *[movingFeatures]uint32, words []word, i int, before, earlier document.Tag) {
	w := words[i : i+2 : i+2]
	a, n := &w[0], &w[1]
	p, pp := uint32(before), uint32(earlier)
	f[0] = mix(41, pair(p, pp))
	f[1] = mix(42, pair(a.hash, p))
	f[2] = mix(43, pair(a.suffix&0xffffff, p))
	f[3] = mix(44, pair(n.hash, p))
	f[4] = mix(45, pair(a.class, p|n.class<<8))
	f[5] = mix(46, pair(a.hash, p<<8|pp))
	f[6] = mix(47, pair(a.class, p|pp<<8))
	f[7] = mix(48, pair(a.cluster>>3, p|a.shape<<8))
}
