// Package entity finds the persons, organisations and places that a text names: a
// linear-chain conditional random field (Lafferty, McCallum and Pereira 2001) over
// hashed features of a word, its neighbours and their tags, decoded by Viterbi's
// algorithm in integers.
package entity

import (
	"fmt"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/rows"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
	"github.com/starling-vr/starling/workloads/annotate/model/workspace"
)

// Weights are what a Recognizer is made of.
type Weights struct {
	// Emissions are a row of 16 for each feature, the weight of label l at l.
	Emissions []int8
	// Transitions are the weights of label l after label p, at p*16+l, in the same
	// unit. Row 15 is that of the beginning of a sentence.
	Transitions []int16
}

// TransitionCount is the number of transition weights.
const TransitionCount = 16 * 16

const start = 15

// Recognizer finds entities. It may be used by many goroutines at a time.
type Recognizer struct {
	vocabulary *vocabulary.Vocabulary
	table      rows.Table
	chain      rows.Chain16
	scratch    workspace.Pool[scratch]
}

type scratch struct {
	words  []word
	picked [2][]uint32 // features of a word and of the next one
	sums   [][rows.Width16]int16
	scores [][rows.Width16]int16
}

// New makes a recogniser of weights.
func New(v *vocabulary.Vocabulary, w Weights) (*Recognizer, error) {
	table, ok := rows.NewTable(w.Emissions, rows.Width16)
	if !ok || len(w.Transitions) != TransitionCount {
		return nil, fmt.Errorf("entity: %d weights and %d transitions do not make a model", len(w.Emissions), len(w.Transitions))
	}
	r := &Recognizer{vocabulary: v, table: table}
	for p := range r.chain {
		for l := range r.chain[p] {
			r.chain[p][l] = -32768
			if l < labels && (p < labels || p == start) && follows(p, l) {
				r.chain[p][l] = w.Transitions[p*16+l]
			}
		}
	}
	r.scratch = workspace.New(func() *scratch {
		return &scratch{picked: [2][]uint32{make([]uint32, 0, most), make([]uint32, 0, most)}}
	})
	return r, nil
}

// Recognize writes Token.Entity of every token and Entities. The vocabulary must have
// been assigned, and the tokens tagged.
func (r *Recognizer) Recognize(d *document.Document) {
	d.Entities = d.Entities[:0]
	r.RecognizeSentences(d, d.Sentences)
}

// RecognizeSentences does so for some sentences of the document, and appends what it
// finds to Entities.
func (r *Recognizer) RecognizeSentences(d *document.Document, sentences []document.Sentence) {
	s := r.scratch.Get()
	for i := range sentences {
		r.sentence(d, sentences[i], s)
	}
	r.scratch.Put(s)
}

func (r *Recognizer) sentence(d *document.Document, sentence document.Sentence, s *scratch) {
	n := int(sentence.End - sentence.Start)
	s.words = describe(s.words, d, sentence, r.vocabulary)
	s.sums = s.sums[:0]
	r.pick(s, 0)
	for i := range n {
		if i+1 < n {
			r.pick(s, i+1)
		}
		s.sums = append(s.sums, never)
		if picked := s.picked[i&1]; len(picked) > 0 {
			r.table.Sum16(&s.sums[i], picked)
		}
	}
	l := r.decode(s)
	r.write(d, sentence, s, l)
}

// pick finds the features of word i, none for one that is no part of a name, and asks
// for their rows.
func (r *Recognizer) pick(s *scratch, i int) {
	picked := s.picked[i&1][:0]
	if !s.words[i+window].nameless {
		picked = appendFeatures(picked, s.words, i+window)
		r.table.Fetch16(picked)
	}
	s.picked[i&1] = picked
}

// never are the weights of a word that is no part of a name.
var never = func() (row [rows.Width16]int16) {
	for l := 1; l < labels; l++ {
		row[l] = -1 << 14
	}
	return
}()

// begin are the scores before a sentence: only its start is possible.
var begin = func() (scores [rows.Width16]int16) {
	for l := range scores {
		scores[l] = -32768
	}
	scores[start] = 0
	return
}()

// decode fills in the score of the best sequence that ends with each label at each
// word, relative to the best one there, and gives the best label of the last word.
func (r *Recognizer) decode(s *scratch) int {
	s.scores = s.scores[:0]
	before := &begin
	for i := range s.sums {
		s.scores = append(s.scores, [rows.Width16]int16{})
		r.chain.Step(&s.scores[i], before, &s.sums[i])
		before = &s.scores[i]
	}
	best := 0
	for _, l := range closed {
		if before[l] > before[best] {
			best = l
		}
	}
	return best
}

// write goes back from the last label and notes marks and mentions.
func (r *Recognizer) write(d *document.Document, sentence document.Sentence, s *scratch, l int) {
	found := len(d.Entities)
	end := sentence.End
	for i := len(s.sums) - 1; i >= 0; i-- {
		at := sentence.Start + uint32(i)
		d.Tokens[at].Entity = markOf(l)
		if l != 0 {
			p := placeOf(l)
			if p == last || p == unit {
				end = at + 1
			}
			if p == first || p == unit {
				d.Entities = append(d.Entities, document.Entity{Start: at, End: end, Kind: kindOf(l)})
			}
		}
		if i > 0 {
			l = r.previous(s, i, l)
		}
	}
	for a, b := found, len(d.Entities)-1; a < b; a, b = a+1, b-1 {
		d.Entities[a], d.Entities[b] = d.Entities[b], d.Entities[a]
	}
}

// previous gives the label of word i-1 on the best way to label l of word i, the first
// one of equals.
func (r *Recognizer) previous(s *scratch, i, l int) int {
	before := &s.scores[i-1]
	if l != 0 && (placeOf(l) == inner || placeOf(l) == last) {
		b := label(kindOf(l), first)
		if r.after(before, b, l) >= r.after(before, b+1, l) {
			return b
		}
		return b + 1
	}
	best := 0
	for _, p := range closed {
		if r.after(before, p, l) > r.after(before, best, l) {
			best = p
		}
	}
	return best
}

func (r *Recognizer) after(before *[rows.Width16]int16, p, l int) int32 {
	return int32(before[p]) + int32(r.chain[p][l])
}
