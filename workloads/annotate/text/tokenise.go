package text

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// Bounds that keep work for a piece of text in proportion to its size.
const (
	maxToken    = 1024 // bytes; longer ones are divided
	maxSentence = 600  // tokens; longer ones are divided
)

// Tokenise divides d.Text into tokens, terms and sentences. What was made from
// earlier tokens is forgotten.
func Tokenise(d *document.Document) {
	d.ResetTokens()
	t := tokeniser{d: d, text: d.Text, paragraph: true}
	t.run()
}

type tokeniser struct {
	d         *document.Document
	text      []byte
	paragraph bool // a paragraph begins with the sentence under way
	ended     bool // the sentence under way has come to its end
	maybe     bool // an abbreviation may have ended it
	last      int  // the end of the last token
	begun     int  // the first token of the sentence under way
	careful   bool // take no short cut; for tests
}

func (t *tokeniser) run() {
	text := t.text
	for i := 0; i < len(text); {
		begin := i
		if text[i] == ' ' && i+1 < len(text) && text[i+1] > ' ' && text[i+1] < utf8.RuneSelf {
			i++
		} else {
			i = t.skipSpace(i)
		}
		if i >= len(text) {
			break
		}
		if (t.ended || t.maybe) && i > begin {
			t.settle(i)
		}
		if next := t.plainWord(i); next > i {
			i = next
			continue
		}
		start := i
		var set kind
		for i < len(text) {
			k := kinds[text[i]]
			if k == high {
				var size int
				k, size = character(text[i:])
				if k == space {
					break
				}
				i += size - 1
				k |= high
			} else if k == space {
				break
			}
			set |= k
			i++
			if i-start >= maxToken {
				break
			}
		}
		t.chunk(start, i, set)
	}
	t.endSentence()
}

// plainWord adds what stands at i between white space if it is a word of letters of
// ASCII, 16 at most, alone or before a comma or a full stop, as most of what stands
// between white space is; it gives the position after it, i if there is none. It adds
// what chunk would.
func (t *tokeniser) plainWord(i int) int {
	text := t.text
	if len(text)-i < 18 || t.careful {
		return i
	}
	n := letters(text[i:])
	end := i + n
	if n == 0 || n == 16 {
		return i
	}
	switch c := text[end]; {
	case c == ' ' || c == '\n':
		t.word(i, end)
		return end
	case c == ',' && (text[end+1] == ' ' || text[end+1] == '\n'):
		t.word(i, end)
		t.add(end, end+1)
		return end + 1
	case c == '.' && (text[end+1] == ' ' || text[end+1] == '\n') && !abbreviation(text[i:end]):
		t.word(i, end)
		t.add(end, end+1)
		t.ended = !t.numbering()
		return end + 1
	}
	return i
}

// letters is the number of letters of ASCII that b, of 16 bytes or more, begins with; 16
// if there are more. Eight bytes are looked at in one: each one's highest bit says
// whether it is none.
func letters(b []byte) int {
	if others := otherThanLetters(binary.LittleEndian.Uint64(b)); others != 0 {
		return bits.TrailingZeros64(others) / 8
	}
	return 8 + bits.TrailingZeros64(otherThanLetters(binary.LittleEndian.Uint64(b[8:])))/8
}

func otherThanLetters(b uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	ascii := (b | 0x20*ones) &^ highs
	return (^(ascii + (0x80-'a')*ones) | (ascii + (0x7f-'z')*ones) | b) & highs
}

// skipSpace passes white space from i on; a blank line ends a paragraph.
func (t *tokeniser) skipSpace(i int) int {
	text, lines := t.text, 0
	for i < len(text) {
		c := text[i]
		if c == '\n' {
			lines++
		} else if k := kinds[c]; k == high {
			k, size := character(text[i:])
			if k != space {
				break
			}
			i += size
			continue
		} else if k != space {
			break
		}
		i++
	}
	if lines >= 2 {
		t.endSentence()
		t.paragraph = true
	}
	return i
}

func (t *tokeniser) endSentence() {
	before := len(t.d.Sentences)
	t.d.EndSentence(t.paragraph)
	if len(t.d.Sentences) > before {
		t.paragraph = false
	}
	t.ended, t.maybe, t.begun = false, false, len(t.d.Tokens)
}

// settle decides whether the sentence ended, now that what follows is known.
func (t *tokeniser) settle(at int) {
	b := t.text[at:]
	k, _ := character(b)
	switch {
	case t.maybe:
		if k&upper != 0 && commonStart(b) {
			t.endSentence()
		}
		t.maybe = false
	case closer(b) && len(b) > 1 && kinds[b[1]] != lower && kinds[b[1]] != upper:
		// it closes what the sentence opened: still the same sentence
	case k&lower != 0 && b[0] != '_' && k&high == 0 && b[0] < 0x80:
		t.ended = false
	default:
		t.endSentence()
	}
}

func (t *tokeniser) add(start, end int) {
	if start >= end {
		return
	}
	if t.ended && !closer(t.text[start:]) {
		t.settle(start)
	}
	var flags document.Flags
	if start == t.last && start > 0 {
		flags = document.Glued
	}
	t.d.AppendToken(start, end, flags)
	t.last = end
	if len(t.d.Tokens)-t.begun >= maxSentence {
		t.endSentence()
	}
}

// chunk divides what stands between white space.
func (t *tokeniser) chunk(start, end int, set kind) {
	if set&^(lower|upper|high) == 0 {
		t.word(start, end)
		return
	}
	if set&mark != 0 && end-start > 5 && t.address(start, end) {
		return
	}
	for i := start; i < end; {
		k, size := character(t.text[i:end])
		switch {
		case k&word != 0:
			i = t.runOfWord(start, i, end)
		case k == joint:
			i = t.segments(i, end)
		default:
			i = t.marks(start, i, size, end)
		}
	}
}

// segments divides a run of characters of scripts without spaces, or an emoji.
func (t *tokeniser) segments(i, end int) int {
	stop := i
	for stop < end {
		k, size := character(t.text[stop:end])
		if k != joint {
			break
		}
		stop += size
	}
	for iterator := words.FromBytes(t.text[i:end]); i < stop && iterator.Next(); {
		size := len(iterator.Value())
		t.add(i, i+size)
		i += size
	}
	return i
}
