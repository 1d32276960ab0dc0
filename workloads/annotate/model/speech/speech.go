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

type scratch struct {
	words  []word
	picked [2][]uint32 // features of a word and of the next one
	sum    [rows.Width64]int16
}

// New makes a tagger of weights: a row of 64 for each feature, the weight of tag t
// at t. There must be a power of two of rows.
func New(v *vocabulary.Vocabulary, weights []int8) (*Tagger, error) {
	table, ok := rows.NewTable(weights, rows.Width64)
	if !ok {
		return nil, fmt.Errorf("speech: %d weights are not a power of two of rows of %d", len(weights), rows.Width64)
	}
	t := &Tagger{vocabulary: v, table: table}
	t.scratch = workspace.New(func() *scratch {
		return &scratch{picked: [2][]uint32{make([]uint32, 0, most), make([]uint32, 0, most)}}
	})
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
	tokens := d.Tokens[sentence.Start:sentence.End]
	var before, earlier document.Tag
	t.pick(s, 0)
	for i := range tokens {
		if i+1 < len(tokens) {
			t.pick(s, i+1)
		}
		tag := s.words[i+window].only
		if tag == document.NoTag {
			t.table.Sum64(&s.sum, appendMoving(s.picked[i&1], s.words, i+window, before, earlier))
			tag = best(&s.sum)
		}
		tokens[i].Tag = tag
		earlier, before = before, tag
	}
}

// pick finds the features of word i that need no tags and asks for their rows.
func (t *Tagger) pick(s *scratch, i int) {
	if s.words[i+window].only == document.NoTag {
		s.picked[i&1] = appendFixed(s.picked[i&1][:0], s.words, i+window)
		t.table.Fetch64(s.picked[i&1])
	}
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
