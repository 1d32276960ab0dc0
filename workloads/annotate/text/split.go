package text

import (
	"bytes"
	"unicode/utf8"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// Cuts appends to cuts where text may be cut into want pieces of about the same
// size: between paragraphs if there is a blank line within reach of where the piece
// should end, else after a sentence, a line or a word, and only where there is none
// of them within a word. Tokens and sentences of pieces cut between paragraphs are
// those of the whole.
func Cuts(text []byte, want int, cuts []int) []int {
	if want < 2 || len(text) < want {
		return cuts
	}
	size := len(text) / want
	at := 0
	for range want - 1 {
		target := at + size
		if target >= len(text) {
			break
		}
		cut := cutNear(text, max(at+1, target-size/4), target, min(len(text)-1, target+size/4))
		if cut <= at || cut >= len(text) {
			break
		}
		cuts = append(cuts, cut)
		at = cut
	}
	return cuts
}

// cutNear finds the best cut in text[from:to], the nearest to target of its kind.
func cutNear(text []byte, from, target, to int) int {
	for _, separator := range []string{"\n\n", ". ", "\n", " "} {
		after := bytes.Index(text[target:to], []byte(separator))
		before := bytes.LastIndex(text[from:target], []byte(separator))
		switch {
		case after >= 0 && (before < 0 || after <= target-from-before):
			return target + after + len(separator)
		case before >= 0:
			return from + before + len(separator)
		}
	}
	cut := target
	for cut < len(text) && cut < target+utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut++
	}
	return cut
}

// Join puts the parts of a document together that begin at starts in its text: the
// document gets the parts' tokens, sentences, terms and entities, and the language of
// the whole.
func Join(d *document.Document, parts []*document.Document, starts []int) {
	d.ResetTokens()
	for i, part := range parts {
		d.Append(part, starts[i])
	}
	Identify(d)
}
