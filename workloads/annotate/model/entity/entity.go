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

// stretch is how many words' features are picked before their rows are added up, so
// that the rows have come near by then.
const stretch = 16

type scratch struct {
	words  []word
	places []uint32 // of candidates
	picked [stretch][most]uint32
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
	r.scratch = workspace.New(func() *scratch { return &scratch{} })
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

// sentence finds the names of a sentence, one run of words that may be part of one at
// a time.
func (r *Recognizer) sentence(d *document.Document, sentence document.Sentence, s *scratch) {
	s.words = describe(s.words, d, sentence, r.vocabulary)
	s.places = candidates(s.places, s.words)
	end := sentence.End - sentence.Start
	for rest := s.places; len(rest) > 0; {
		from := rest[0]
		n := uint32(1)
		for int(n) < len(rest) && rest[n] == from+n {
			n++
		}
		r.sum(s, int(from), int(from+n))
		l := r.decode(s, from == 0, from+n == end)
		r.write(d, sentence.Start+from, s, l)
		rest = rest[n:]
	}
}

// sum adds up the rows of the words' features.
func (r *Recognizer) sum(s *scratch, from, to int) {
	s.sums = s.sums[:0]
	for ; from < to; from += stretch {
		n := min(stretch, to-from)
		for i := range n {
			features(&s.picked[i], s.words, from+i+window)
			r.table.Fetch16(s.picked[i][:])
		}
		for i := range n {
			s.sums = append(s.sums, [rows.Width16]int16{})
			r.table.Sum16(&s.sums[len(s.sums)-1], s.picked[i][:])
		}
	}
}

// begin are the scores before a sentence: only its start is possible; between those
// before a run of words within one: what stands before it is outside.
var begin, between = only(start), only(0)

func only(label int) (scores [rows.Width16]int16) {
	for l := range scores {
		scores[l] = -32768
	}
	scores[label] = 0
	return
}

// decode fills in the score of the best sequence that ends with each label at each
// word, relative to the best one there, and gives the best label of the last word. A
// run that does not end its sentence is followed by a word outside.
func (r *Recognizer) decode(s *scratch, first, last bool) int {
	s.scores = s.scores[:0]
	before := &between
	if first {
		before = &begin
	}
	for i := range s.sums {
		s.scores = append(s.scores, [rows.Width16]int16{})
		r.chain.Step(&s.scores[i], before, &s.sums[i])
		before = &s.scores[i]
	}
	if !last {
		return r.previous(before, 0)
	}
	best := 0
	for _, l := range closed {
		if before[l] > before[best] {
			best = l
		}
	}
	return best
}

// write goes back from the last label of the words from start on, and notes marks and
// mentions.
func (r *Recognizer) write(d *document.Document, start uint32, s *scratch, l int) {
	found := len(d.Entities)
	end := start + uint32(len(s.sums))
	for i := len(s.sums) - 1; i >= 0; i-- {
		at := start + uint32(i)
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
			l = r.previous(&s.scores[i-1], l)
		}
	}
	for a, b := found, len(d.Entities)-1; a < b; a, b = a+1, b-1 {
		d.Entities[a], d.Entities[b] = d.Entities[b], d.Entities[a]
	}
}

// previous gives the label on the best way to label l of the next word, the first one
// of equals.
func (r *Recognizer) previous(before *[rows.Width16]int16, l int) int {
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
