package topic

import (
	"errors"
	"testing"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/embedding"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// plane has words in the directions of two axes: music and stone.
func plane(t *testing.T) (*vocabulary.Vocabulary, *embedding.Vectors) {
	t.Helper()
	words := []string{"violin", "sonata", "granite"}
	n := len(words) + 1
	w := vocabulary.Words{
		Hash: make([]uint32, n), Cluster: make([]uint16, n), Class: make([]uint8, n),
		Only: make([]document.Tag, n), Nameless: make([]uint8, n), Rarity: make([]uint8, n),
	}
	values := make([]int8, n*embedding.Dimensions)
	for i, word := range words {
		w.Hash[i+1] = document.HashString(word)
		values[(i+1)*embedding.Dimensions+i/2] = 100
	}
	v, err := vocabulary.New(w)
	if err != nil {
		t.Fatal(err)
	}
	e, err := embedding.New(v, values)
	if err != nil {
		t.Fatal(err)
	}
	return v, e
}

func embedded(v *vocabulary.Vocabulary, e *embedding.Vectors, words ...string) *document.Document {
	d := &document.Document{}
	d.AppendWords(words)
	v.Assign(d)
	e.Embed(d)
	return d
}

func TestTopicsOfWordsAndOfExamples(t *testing.T) {
	v, e := plane(t)
	s, err := New(e, []Definition{
		{Name: "stone", Words: []string{"Granite", "unheard-of"}},
		{Name: "music", Examples: []*document.Document{embedded(v, e, "sonata")}},
		{Name: "both", Words: []string{"granite", "violin"}, Threshold: 0.99},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := embedded(v, e, "violin", "sonata", "granite")
	if s.Assign(d); len(d.Topics) != 2 || d.Topics[0].Name != "music" || d.Topics[1].Name != "stone" {
		t.Errorf("topics %+v", d.Topics)
	}
	if n := testing.AllocsPerRun(20, func() { s.Assign(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	d = embedded(v, e, "violin", "granite")
	if s.Assign(d); len(d.Topics) != 3 || d.Topics[0].Name != "both" {
		t.Errorf("topics %+v", d.Topics)
	}
	d = embedded(v, e, "unheard-of")
	if s.Assign(d); len(d.Topics) != 0 {
		t.Errorf("topics %+v of unknown words", d.Topics)
	}
}

func TestDefinitionsThatAreRefused(t *testing.T) {
	_, e := plane(t)
	var none *NoVectorError
	if _, err := New(e, []Definition{{Name: "void", Words: []string{"unheard-of"}}}); !errors.As(err, &none) || none.Topic != "void" || none.Empty {
		t.Errorf("error %v", err)
	}
	if _, err := New(e, []Definition{{Name: "bare"}}); !errors.As(err, &none) || !none.Empty || none.Topic != "bare" {
		t.Errorf("error %v", err)
	}
	for _, d := range [][]Definition{
		{{Words: []string{"violin"}}},
		{{Name: "a", Words: []string{"violin"}}, {Name: "a", Words: []string{"granite"}}},
		{{Name: "a", Words: []string{"violin"}, Threshold: 1.5}},
	} {
		if _, err := New(e, d); err == nil {
			t.Errorf("%+v is accepted", d)
		}
	}
}
