package embedding

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// compass has a word for each of three directions.
func compass(t testing.TB) (*vocabulary.Vocabulary, *Vectors) {
	t.Helper()
	words := []string{"harbour", "granite", "violin"}
	w := vocabulary.Words{
		Hash: make([]uint32, 4), Cluster: make([]uint16, 4), Class: make([]uint8, 4),
		Only: make([]document.Tag, 4), Nameless: make([]uint8, 4), Rarity: make([]uint8, 4),
	}
	values := make([]int8, 4*Dimensions)
	for i, word := range words {
		w.Hash[i+1] = document.HashString(word)
		values[(i+1)*Dimensions+i] = int8(100 - 20*i)
	}
	v, err := vocabulary.New(w)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(v, values)
	if err != nil {
		t.Fatal(err)
	}
	return v, e
}

func TestEmbed(t *testing.T) {
	v, e := compass(t)
	var d document.Document
	d.AppendWords([]string{"The", "harbour", "of", "granite", "xyzzy"})
	v.Assign(&d)
	e.Embed(&d)
	if len(d.Embedding) != Dimensions || math.Abs(float64(d.Embedding[0]/d.Embedding[1])-1.25) > 1e-5 {
		t.Errorf("embedding %v", d.Embedding)
	}
	if n := testing.AllocsPerRun(20, func() { e.Embed(&d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	d.Reset()
	d.AppendWords([]string{"xyzzy"})
	v.Assign(&d)
	if e.Embed(&d); len(d.Embedding) != 0 {
		t.Error("a text of unknown words has an embedding")
	}
}

func TestWord(t *testing.T) {
	_, e := compass(t)
	if w, ok := e.Word("Violin"); !ok || w[2] != 1 {
		t.Errorf("%v %v", w, ok)
	}
	few, err := New(e.vocabulary, e.values[:2*Dimensions])
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := few.Word("violin"); ok {
		t.Error("a word beyond the vectors has one")
	}
	if _, ok := e.Word("xyzzy"); ok {
		t.Error("an unknown word has a vector")
	}
}

func TestEmbeddingsHaveUnitLength(t *testing.T) {
	v, e := compass(t)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"harbour", "granite", "violin", "no", "Ж"}), 0, 2000).Draw(t, "words")
		var d document.Document
		d.AppendWords(words)
		v.Assign(&d)
		e.Embed(&d)
		if len(d.Embedding) > 0 && math.Abs(float64(Cosine(d.Embedding, d.Embedding))-1) > 1e-5 {
			t.Fatalf("length %v", Cosine(d.Embedding, d.Embedding))
		}
	})
}

func TestValuesOfTheWrongShape(t *testing.T) {
	v, _ := compass(t)
	for _, n := range []int{0, 63, 65, 3 * 64} {
		if _, err := New(v, make([]int8, n)); err == nil {
			t.Errorf("%d values make vectors", n)
		}
	}
}
