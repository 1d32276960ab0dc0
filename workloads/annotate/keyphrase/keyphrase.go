// Package keyphrase finds the phrases that tell what a document is about: noun
// chunks (adjectives and nouns that end in a noun), weighed by how rare their words
// are in general and how often they come (after Hulth, "Improved automatic keyword
// extraction given more linguistic knowledge", 2003, with the term weighting of
// Spärck Jones, 1972). In a document without tags, runs of words that are not
// function words stand for noun chunks.
package keyphrase

import (
	"math"
	"math/bits"
	"slices"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// Bounds of what is found.
const (
	MaxPhrases = 10
	maxLength  = 5 // words of a phrase
	// maxChunks is the number of different chunks of a document that are counted;
	// more than those of 20,000 words.
	maxChunks = 4096
	// unknownRarity is that of words outside the vocabulary: many are misspelt.
	unknownRarity = 9 * 16
)

// Finder finds phrases. It holds storage: one for each document under way. The
// zero value is ready.
type Finder struct {
	// Rarity is 16 times the inverse document frequency of the word of each
	// vocabulary number, in nats; number 0 is not looked at. May be empty.
	Rarity []uint8
	chunks []chunk
	slots  []uint32 // index into chunks, plus 1
	mask   uint64   // of the slots in use
}

type chunk struct {
	hash       uint64
	start, end uint32
	count      uint32
	slot       uint32
}

// Find writes the document's keyphrases to d.Phrases, best first.
func (f *Finder) Find(d *document.Document) {
	f.chunks = f.chunks[:0]
	f.room(len(d.Tokens))
	d.Phrases = d.Phrases[:0]
	tagged := len(d.Tokens) > 0 && d.Tokens[0].Tag != document.NoTag
	for _, s := range d.Sentences {
		if tagged {
			f.nounChunks(d, s)
		} else {
			f.contentRuns(d, s)
		}
	}
	for i := range f.chunks {
		c := &f.chunks[i]
		f.slots[c.slot] = 0
		f.rank(d, document.Phrase{Start: c.start, End: c.end, Count: c.count, Score: f.score(d, c)})
	}
}

// room makes the table of chunks, which is empty between documents, large enough for a
// document of so many tokens, but no larger: a small one stays near the processor.
func (f *Finder) room(tokens int) {
	f.mask = 1<<bits.Len(uint(min(tokens, 2*maxChunks-1))) - 1
	if len(f.slots) <= int(f.mask) {
		f.slots = make([]uint32, f.mask+1)
	}
}

func (f *Finder) nounChunks(d *document.Document, s document.Sentence) {
	for i := s.Start; i < s.End; {
		if !part(d, i) {
			i++
			continue
		}
		j := i + 1
		for j < s.End && part(d, j) {
			j++
		}
		next, end := j, j
		for end > i && !d.Tokens[end-1].Tag.Noun() {
			end--
		}
		if end > i+maxLength {
			i = end - maxLength // the head of a chunk is its end
		}
		if end > i {
			f.count(d, i, end)
		}
		i = next
	}
}

// part says whether a token may be part of a noun chunk.
func part(d *document.Document, i uint32) bool {
	t := &d.Tokens[i]
	return (t.Tag.Noun() || t.Tag == document.TagJJ) && t.Shape != document.Mark && !d.Terms[t.Term].Stop && t.End-t.Start < 40
}

func (f *Finder) contentRuns(d *document.Document, s document.Sentence) {
	for i := s.Start; i < s.End; {
		if !content(d, i) {
			i++
			continue
		}
		j := i + 1
		for j < s.End && j < i+3 && content(d, j) {
			j++
		}
		f.count(d, i, j)
		i = j
	}
}

func content(d *document.Document, i uint32) bool {
	t := &d.Tokens[i]
	return t.Shape != document.Mark && t.Shape != document.Number && !d.Terms[t.Term].Stop && t.End-t.Start > 2 && t.End-t.Start < 40
}

// count counts a mention of the chunk of tokens start to end.
func (f *Finder) count(d *document.Document, start, end uint32) {
	hash := uint64(end - start)
	for i := start; i < end; i++ {
		hash = (hash ^ uint64(d.Tokens[i].Word)) * 0x9e3779b97f4a7c15
		hash ^= hash >> 29
	}
	at := f.slot(hash)
	if i := f.slots[at]; i != 0 {
		f.chunks[i-1].count++
		return
	}
	if len(f.chunks) == maxChunks {
		return
	}
	i := len(f.chunks)
	f.chunks = slices.Grow(f.chunks, 1)[:i+1]
	c := &f.chunks[i] // written where it stays
	c.hash, c.start, c.end, c.count, c.slot = hash, start, end, 1, uint32(at)
	f.slots[at] = uint32(i + 1)
}

// slot finds where a hash is, or belongs.
func (f *Finder) slot(hash uint64) uint64 {
	at := hash & f.mask
	for f.slots[at] != 0 && f.chunks[f.slots[at]-1].hash != hash {
		at = (at + 1) & f.mask
	}
	return at
}

// score is the sum of the words' inverse document frequencies over the root of
// their number, times the root of the number of mentions plus one.
func (f *Finder) score(d *document.Document, c *chunk) float32 {
	sum := 0
	for i := c.start; i < c.end; i++ {
		number := d.Terms[d.Tokens[i].Term].Vocabulary
		if number == 0 || int(number) >= len(f.Rarity) {
			sum += unknownRarity
		} else {
			sum += int(f.Rarity[number])
		}
	}
	n, mentions := min(int(c.end-c.start), maxLength), min(int(c.count), len(gain)-1)
	return float32(sum) / 16 * lengths[n] * gain[mentions]
}

var lengths, gain = func() (lengths [maxLength + 1]float32, gain [64]float32) {
	for n := 1; n <= maxLength; n++ {
		lengths[n] = float32(1 / math.Sqrt(float64(n)))
	}
	for n := range gain {
		gain[n] = float32(math.Sqrt(float64(n + 1)))
	}
	return
}()

// rank puts a phrase among the best, which are kept in order.
func (f *Finder) rank(d *document.Document, p document.Phrase) {
	at := len(d.Phrases)
	switch {
	case at < MaxPhrases:
		d.Phrases = append(d.Phrases, p)
	case d.Phrases[at-1].Score >= p.Score:
		return
	default:
		at--
	}
	for ; at > 0 && d.Phrases[at-1].Score < p.Score; at-- {
		d.Phrases[at] = d.Phrases[at-1]
	}
	d.Phrases[at] = p
}
