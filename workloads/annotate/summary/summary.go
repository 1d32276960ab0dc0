// Package summary picks the sentences that stand for a document: those full of the
// words that the document comes back to (after Luhn, "The automatic creation of
// literature abstracts", 1958), early ones before late ones (Edmundson, 1969).
package summary

import "github.com/starling-vr/starling/workloads/annotate/document"

// MaxSentences is the length of a summary; that of a document with few sentences is
// a third of them, at least one.
const MaxSentences = 3

// smoothing is the number of words that a sentence is taken to have besides its own,
// so that short ones do not win by chance; leadGain what the first one gains.
const (
	smoothing = 6
	leadGain  = 0.6
)

type candidate struct {
	sentence uint32
	score    float32
}

// Summarise writes the chosen sentences to d.Summary, in the order of the text.
func Summarise(d *document.Document) {
	d.Summary = d.Summary[:0]
	want := min(MaxSentences, (len(d.Sentences)+2)/3)
	var best [MaxSentences]candidate
	n := 0
	for i := range d.Sentences {
		c := candidate{uint32(i), score(d, i)}
		at := n
		if n < want {
			n++
		} else if at--; best[at].score >= c.score {
			continue
		}
		for ; at > 0 && best[at-1].score < c.score; at-- {
			best[at] = best[at-1]
		}
		best[at] = c
	}
	for _, c := range best[:n] {
		at := len(d.Summary)
		d.Summary = append(d.Summary, c.sentence)
		for ; at > 0 && d.Summary[at-1] > c.sentence; at-- {
			d.Summary[at-1], d.Summary[at] = d.Summary[at], d.Summary[at-1]
		}
	}
}

// score is the mean number of other mentions of the sentence's words, smoothed, and
// greater for early sentences.
func score(d *document.Document, i int) float32 {
	var others, words uint32
	for _, t := range d.SentenceTokens(i) {
		if term := &d.Terms[t.Term]; !term.Stop {
			others += term.Count - 1
			words++
		}
	}
	return float32(others) / float32(words+smoothing) * (1 + leadGain/float32(1+i))
}
