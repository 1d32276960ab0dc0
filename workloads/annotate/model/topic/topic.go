// Package topic says which of its user's topics a document is about. A topic is a
// list of words or of example documents; it is made a vector when it is deployed, and
// a document is about the topics whose vectors lie closest to its own.
package topic

import (
	"errors"
	"fmt"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/embedding"
)

// Definition is a topic as its user gives it: a name, and words or examples or both.
type Definition struct {
	Name  string
	Words []string
	// Examples are documents about the topic; they must have embeddings.
	Examples []*document.Document
	// Threshold is the cosine, above 0 and below 1, from which on a document is about
	// the topic; 0 stands for DefaultThreshold.
	Threshold float32
}

// DefaultThreshold is the cosine from which on a document is about a topic.
const DefaultThreshold = 0.4

// Set is a user's topics. It may be used by many goroutines at a time.
type Set struct {
	names      []string
	thresholds []float32
	vectors    []float32
}

// NoVectorError says of a topic that nothing in it has a vector: it cannot be told
// from others.
type NoVectorError struct {
	Topic string
	Empty bool // there is nothing in it
}

func (e *NoVectorError) Error() string {
	if e.Empty {
		return fmt.Sprintf("topic %q: give it words, examples or both", e.Topic)
	}
	return fmt.Sprintf("topic %q: none of its words and examples is known to the model", e.Topic)
}

// New makes vectors of definitions. It fails when names are missing or repeated, when
// a threshold is out of range, and with a NoVectorError.
func New(vectors *embedding.Vectors, definitions []Definition) (*Set, error) {
	s := &Set{}
	named := map[string]bool{}
	var all []error
	for _, d := range definitions {
		if d.Name == "" || named[d.Name] {
			all = append(all, errors.New("topics need names of their own: "+d.Name))
		}
		named[d.Name] = true
		if !(d.Threshold >= 0 && d.Threshold < 1) {
			all = append(all, fmt.Errorf("topic %q: threshold %v is not between 0 and 1", d.Name, d.Threshold))
		}
		v, ok := centre(vectors, d)
		if !ok {
			all = append(all, &NoVectorError{Topic: d.Name, Empty: len(d.Words)+len(d.Examples) == 0})
		}
		if d.Threshold == 0 {
			d.Threshold = DefaultThreshold
		}
		s.names, s.thresholds, s.vectors = append(s.names, d.Name), append(s.thresholds, d.Threshold), append(s.vectors, v[:]...)
	}
	if all != nil {
		return nil, errors.Join(all...)
	}
	return s, nil
}

// centre gives the mean of the vectors of a topic's words and examples at unit length.
func centre(vectors *embedding.Vectors, d Definition) (mean [embedding.Dimensions]float32, ok bool) {
	add := func(v []float32) {
		for i, x := range v {
			mean[i] += x
		}
	}
	for _, w := range d.Words {
		if v, known := vectors.Word(w); known {
			add(v[:])
		}
	}
	for _, e := range d.Examples {
		add(e.Embedding)
	}
	return mean, unit(mean[:])
}

// Len is the number of topics.
func (s *Set) Len() int { return len(s.names) }

// Assign writes Topics: those that the document is about, the best first. A document
// without an embedding is about none.
func (s *Set) Assign(d *document.Document) {
	d.Topics = d.Topics[:0]
	if len(d.Embedding) != embedding.Dimensions {
		return
	}
	for i, name := range s.names {
		score := embedding.Cosine(s.vectors[i*embedding.Dimensions:(i+1)*embedding.Dimensions], d.Embedding)
		if score < s.thresholds[i] {
			continue
		}
		d.Topics = append(d.Topics, document.Topic{Name: name, Score: score})
		for k := len(d.Topics) - 1; k > 0 && d.Topics[k].Score > d.Topics[k-1].Score; k-- {
			d.Topics[k], d.Topics[k-1] = d.Topics[k-1], d.Topics[k]
		}
	}
}
