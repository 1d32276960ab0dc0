// Package speech tags words with their part of speech: a greedy tagger from left to
// right that adds up rows of weights which hashed features of a word, its neighbours
// and the tags before it pick (the averaged perceptron of Collins 2002, with the
// vocabulary's clusters and tag classes as features).
package speech

import (
	"fmt"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/rows"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
	"github.com/starling-vr/starling/workloads/annotate/model/workspace"
)

// Tagger tags. It may be used by many goroutines at a time.
type Tagger struct {
	vocabulary *vocabulary.Vocabulary
	table      rows.Table
	scratch    workspace.Pool[scratch]
}

// stretch is how many words' features are picked before their rows are added up, so
// that the rows have come near by then.
const stretch = 16

type scratch struct {
	words   []word
	fixed   [stretch][fixedFeatures]uint32
	moving  [stretch][movingFeatures]uint32
	sums    [stretch][rows.Width64]int16
	guesses [stretch]document.Tag // tags without the tags before
}

// New makes a tagger of weights: a row of 64 for each feature, the weight of tag t
// at t. There must be a power of two of rows.
func New(v *vocabulary.Vocabulary, weights []int8) (*Tagger, error) {
	table, ok := rows.NewTable(weights, rows.Width64)
	if !ok {
		return nil, fmt.Errorf("speech: %d weights are not a power of two of rows of %d", len(weights), rows.Width64)
	}
	t := &Tagger{vocabulary: v, table: table}
	t.scratch = workspace.New(func() *scratch { return &scratch{} })
	return t, nil
}

// Tag writes Token.Tag of every token of every sentence. The vocabulary must have
// been assigned.
func (t *Tagger) Tag(d *document.Document) { t.TagSentences(d, d.Sentences) }

// TagSentences does so for some sentences of the document.
func (t *Tagger) TagSentences(d *document.Document, sentences []document.Sentence) {
	s := t.scratch.Get()
	for i := range sentences {
		t.tagSentence(d, sentences[i], s)
	}
	t.scratch.Put(s)
}

func (t *Tagger) tagSentence(d *document.Document, sentence document.Sentence, s *scratch) {
	s.words = describe(s.words, d, sentence, t.vocabulary)
	var tags context
	for start := sentence.Start; start < sentence.End; start += stretch {
		tokens := d.Tokens[start:min(start+stretch, sentence.End)]
		words := s.words[start-sentence.Start:]
		t.pick(s, words, len(tokens))
		t.guess(s, words, tags, len(tokens))
		tags = t.decide(s, words, tags, tokens)
	}
}

// context are the tags of the word before and of the one before that.
type context struct{ before, earlier document.Tag }

func (c context) then(tag document.Tag) context { return context{tag, c.before} }

// pick finds the features of n words that need no tags and asks for their rows. Words
// begin window before the first.
func (t *Tagger) pick(s *scratch, words []word, n int) {
	for i := range n {
		if words[i+window].only == document.NoTag {
			fixed(&s.fixed[i], words, i+window)
			t.table.Fetch64(s.fixed[i][:])
		}
	}
}

// guess adds up the rows of these features and finds the tag that they are for, and by
// it the features that will be wanted if it is right, as it is for nine words in ten.
func (t *Tagger) guess(s *scratch, words []word, tags context, n int) {
	for i := range n {
		tag := words[i+window].only
		if tag == document.NoTag {
			t.table.Sum64(&s.sums[i], s.fixed[i][:])
			moving(&s.moving[i], words, i+window, tags.before, tags.earlier)
			t.table.Fetch64(s.moving[i][:])
			tag = best(&s.sums[i])
		}
		s.guesses[i] = tag
		tags = tags.then(tag)
	}
}

// decide tags the words from left to right, and gives the tags before the next one.
func (t *Tagger) decide(s *scratch, words []word, tags context, tokens []document.Token) context {
	guessed := tags
	for i := range tokens {
		tag := words[i+window].only
		if tag == document.NoTag {
			if tags != guessed {
				moving(&s.moving[i], words, i+window, tags.before, tags.earlier)
			}
			t.table.Add64(&s.sums[i], s.moving[i][:])
			tag = best(&s.sums[i])
		}
		tokens[i].Tag = tag
		tags, guessed = tags.then(tag), guessed.then(s.guesses[i])
	}
	return tags
}

// best gives the tag with the highest sum, the lowest one of equals.
func best(sum *[rows.Width64]int16) document.Tag { return document.Tag(rows.Best64(sum, &tags)) }

// tags excludes what is no tag.
var tags = func() (floor [rows.Width64]int16) {
	for k := range floor {
		if k == 0 || k >= document.Tags {
			floor[k] = -32768
		}
	}
	return
}()
