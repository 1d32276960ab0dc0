// Package embedding makes vectors of texts: sums of the vectors of their words,
// rare words weighing more, brought to unit length.
package embedding

import (
	"fmt"
	"math"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/rows"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
	"github.com/starling-vr/starling/workloads/annotate/model/workspace"
)

// Dimensions is the number of dimensions of a vector.
const Dimensions = rows.Width64

// mostOfAWord is how often a word counts at most in one text.
const mostOfAWord = 4

// Vectors has the vectors of the vocabulary's words. It may be used by many
// goroutines at a time.
type Vectors struct {
	vocabulary *vocabulary.Vocabulary
	values     []int8
	table      rows.Table
	count      uint32
	scratch    workspace.Pool[scratch]
}

type scratch struct {
	picked []uint32
	part   [Dimensions]int16
	sum    [Dimensions]int32
}

// New makes vectors of a power of two of rows of Dimensions values, one for each word
// of the vocabulary by its number; words with larger numbers have no vector. The
// length of a word's row is its weight in a text; that of number 0, and of others
// without a vector, is zero.
func New(v *vocabulary.Vocabulary, values []int8) (*Vectors, error) {
	table, ok := rows.NewTable(values, rows.Width64)
	if !ok {
		return nil, fmt.Errorf("embedding: %d values are not a power of two of rows of %d", len(values), Dimensions)
	}
	e := &Vectors{vocabulary: v, values: values, table: table, count: uint32(len(values) / Dimensions)}
	e.scratch = workspace.New(func() *scratch { return &scratch{picked: make([]uint32, 0, rows.Most)} })
	return e, nil
}

// Embed writes Embedding. It is empty if no word of the document has a vector. The
// vocabulary must have been assigned.
func (e *Vectors) Embed(d *document.Document) {
	s := e.scratch.Get()
	e.sum(d, s)
	d.Embedding = appendUnit(d.Embedding[:0], &s.sum)
	e.scratch.Put(s)
}

func (e *Vectors) sum(d *document.Document, s *scratch) {
	s.sum = [Dimensions]int32{}
	s.picked = s.picked[:0]
	for i := range d.Terms {
		t := &d.Terms[i]
		if t.Stop || t.Vocabulary == 0 || t.Vocabulary >= e.count {
			continue
		}
		if len(s.picked)+mostOfAWord > rows.Most {
			e.flush(s)
		}
		for range min(t.Count, mostOfAWord) {
			s.picked = append(s.picked, t.Vocabulary)
		}
	}
	e.flush(s)
}

func (e *Vectors) flush(s *scratch) {
	e.table.Sum64(&s.part, s.picked)
	for i, x := range s.part {
		s.sum[i] += int32(x)
	}
	s.picked = s.picked[:0]
}

// appendUnit appends the vector at unit length, or nothing if it is zero.
func appendUnit(to []float32, sum *[Dimensions]int32) []float32 {
	var squares float64
	for _, x := range sum {
		squares += float64(x) * float64(x)
	}
	if squares == 0 {
		return to
	}
	scale := float32(1 / math.Sqrt(squares))
	for _, x := range sum {
		to = append(to, float32(x)*scale)
	}
	return to
}

// Word gives a word's vector at unit length; ok is false if it has none.
func (e *Vectors) Word(word string) (vector [Dimensions]float32, ok bool) {
	n := e.vocabulary.Number(document.HashString(word))
	if n == 0 || n >= e.count {
		return vector, false
	}
	var row [Dimensions]int32
	for i, x := range e.values[n*Dimensions:][:Dimensions] {
		row[i] = int32(x)
	}
	return vector, len(appendUnit(vector[:0], &row)) > 0
}

// Cosine is the cosine of the angle between vectors of unit length: their dot product.
func Cosine(a, b []float32) float32 {
	var sum float32
	b = b[:len(a)]
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
