package text

import (
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
}

func (t *tokeniser) run() {
	text := t.text
	for i := 0; i < len(text); {
		begin := i
		i = t.skipSpace(i)
		if i >= len(text) {
			break
		}
		if (t.ended || t.maybe) && i > begin {
			t.settle(i)
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
	t.ended, t.maybe = false, false
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
	n := uint32(len(t.d.Tokens))
	if s := len(t.d.Sentences); s == 0 && n >= maxSentence || s > 0 && n-t.d.Sentences[s-1].End >= maxSentence {
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
