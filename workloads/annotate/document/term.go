package document

import "slices"

// Term is a distinct word of a document (distinct by Hash).
type Term struct {
	Word  uint32
	Count uint32
	First uint32 // token
	// Vocabulary is the word's number in the models' vocabulary, 0 if it has none.
	// Who owns the vocabulary writes it, once a document.
	Vocabulary uint32
	// Stop says that the word says nothing about what a text is about.
	Stop bool
}

// termTable finds a term by its word: open addressing, at most half full. A slot is the
// word, and above it the index of its term plus 1; 0 is empty, as all beyond the length is.
type termTable struct{ slots []uint64 }

// The table of an empty document has at least firstSlots, and at most keptSlots: that of a
// large document before need not be cleared for each small one.
const (
	firstSlots = 512
	keptSlots  = 1024
)

func (t *termTable) reset() {
	clear(t.slots)
	t.slots = t.slots[:min(len(t.slots), keptSlots)]
}

// grow makes room for so many slots and empties them.
func (t *termTable) grow(slots int) {
	clear(t.slots)
	if slots <= cap(t.slots) {
		t.slots = t.slots[:slots]
	} else {
		t.slots = make([]uint64, slots)
	}
}

// AppendToken adds a token for the bytes from start to end of Text, which must come
// after those of the last token, and describes it.
func (d *Document) AppendToken(start, end int, flags Flags) {
	i := len(d.Tokens)
	if i == cap(d.Tokens) {
		d.Tokens = slices.Grow(d.Tokens, 1)
	}
	d.Tokens = d.Tokens[:i+1]
	// Written where it stays: a struct that is put together elsewhere is copied in wide
	// pieces, and those wait until the narrow ones that it was written in are in the cache.
	t := &d.Tokens[i]
	t.Start, t.End, t.Tag, t.Entity, t.Flags = uint32(start), uint32(end), 0, 0, flags
	t.describe(d.Text)
	t.Term = d.term(t.Word, uint32(i), t.Shape)
}

func (d *Document) term(word, token uint32, shape Shape) uint32 {
	if 2*len(d.Terms) >= len(d.terms.slots) {
		d.growTerms()
	}
	slots := d.terms.slots
	mask := uint32(len(slots) - 1)
	at := word * 0x9e3779b1 >> 7 & mask
	for slots[at] != 0 {
		if uint32(slots[at]) == word {
			i := uint32(slots[at]>>32) - 1
			d.Terms[i].Count++
			return i
		}
		at = (at + 1) & mask
	}
	i := len(d.Terms)
	if i == cap(d.Terms) {
		d.Terms = slices.Grow(d.Terms, 1)
	}
	d.Terms = d.Terms[:i+1]
	t := &d.Terms[i]
	t.Word, t.Count, t.First, t.Vocabulary, t.Stop = word, 1, token, 0, shape == Mark || stopWord(word)
	slots[at] = uint64(i+1)<<32 | uint64(word)
	return uint32(i)
}

func (d *Document) growTerms() {
	size := max(firstSlots, 2*len(d.terms.slots))
	d.terms.grow(size)
	mask := uint32(size - 1)
	for i := range d.Terms {
		at := d.Terms[i].Word * 0x9e3779b1 >> 7 & mask
		for d.terms.slots[at] != 0 {
			at = (at + 1) & mask
		}
		d.terms.slots[at] = uint64(i+1)<<32 | uint64(d.Terms[i].Word)
	}
}

// EndSentence makes a sentence of the tokens since the last one. Without new tokens
// it does nothing.
func (d *Document) EndSentence(paragraph bool) {
	start := uint32(0)
	if n := len(d.Sentences); n > 0 {
		start = d.Sentences[n-1].End
	}
	if end := uint32(len(d.Tokens)); end > start {
		d.Sentences = append(d.Sentences, Sentence{Start: start, End: end, Paragraph: paragraph})
		d.Tokens[start].Flags |= SentenceStart
	}
}

// AppendWords adds a sentence that is already divided into tokens, as the files that
// models are trained from have it: words go into Text, with a space between them.
// The document must have been Reset, and have no Source of its own.
func (d *Document) AppendWords(words []string) {
	for _, w := range words {
		if w == "" {
			continue
		}
		if len(d.buffer) > 0 {
			d.buffer = append(d.buffer, ' ')
		}
		start := len(d.buffer)
		d.buffer = append(d.buffer, w...)
		d.Text = d.buffer
		d.AppendToken(start, len(d.buffer), 0)
	}
	d.EndSentence(len(d.Sentences) == 0)
}
