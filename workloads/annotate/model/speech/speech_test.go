package speech

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

func sentence(t *testing.T, text string) Sentence {
	t.Helper()
	var s Sentence
	for _, pair := range strings.Fields(text) {
		w, name, _ := strings.Cut(pair, "_")
		tag, ok := document.ParseTag(name)
		if !ok {
			t.Fatalf("no tag %q", name)
		}
		s.Words, s.Tags = append(s.Words, w), append(s.Tags, tag)
	}
	return s
}

func learned(t *testing.T) (*Tagger, []Sentence) {
	t.Helper()
	v, err := vocabulary.New(vocabulary.Words{
		Hash: []uint32{0, document.HashString("the")}, Cluster: []uint16{0, 1}, Class: []uint8{0, 1},
		Only: []document.Tag{0, document.TagDT}, Nameless: []uint8{0, 1}, Rarity: []uint8{0, 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	sentences := []Sentence{
		sentence(t, "The_DT dog_NN barks_VBZ ._."),
		sentence(t, "A_DT cat_NN sleeps_VBZ ._."),
		sentence(t, "They_PRP bark_VBP loudly_RB ._."),
		sentence(t, "The_DT bark_NN of_IN Rex_NNP"),
	}
	weights := Train(v, sentences, Options{Bits: 12, Rounds: 10, Random: rand.New(rand.NewPCG(1, 1))})
	tagger, err := New(v, weights)
	if err != nil {
		t.Fatal(err)
	}
	return tagger, sentences
}

func TestLearnsWhatItIsShown(t *testing.T) {
	tagger, sentences := learned(t)
	var d document.Document
	var want []document.Tag
	for _, s := range sentences {
		d.AppendWords(s.Words)
		want = append(want, s.Tags...)
	}
	tagger.vocabulary.Assign(&d)
	tagger.Tag(&d)
	for i := range d.Tokens {
		if d.Tokens[i].Tag != want[i] {
			t.Errorf("%s is tagged %v, not %v", d.TokenBytes(i), d.Tokens[i].Tag, want[i])
		}
	}
	if n := testing.AllocsPerRun(20, func() { tagger.Tag(&d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTrainingIsRepeatable(t *testing.T) {
	a, sentences := learned(t)
	train := func() []int8 {
		return Train(a.vocabulary, sentences, Options{Bits: 8, Rounds: 3, Random: rand.New(rand.NewPCG(7, 7))})
	}
	if !slices.Equal(train(), train()) {
		t.Error("the same seed gives other weights")
	}
}

// Whatever the words are, each gets a tag, and the same one each time.
func TestEveryTokenIsTagged(t *testing.T) {
	tagger, _ := learned(t)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.String(), 0, 20).Draw(t, "words")
		var d document.Document
		d.AppendWords(words)
		tagger.vocabulary.Assign(&d)
		tagger.Tag(&d)
		for i := range d.Tokens {
			if d.Tokens[i].Tag == document.NoTag || int(d.Tokens[i].Tag) >= document.Tags {
				t.Fatalf("%q has tag %d", d.TokenBytes(i), d.Tokens[i].Tag)
			}
		}
	})
}

func TestWeightsOfTheWrongShape(t *testing.T) {
	for _, n := range []int{0, 63, 65, 3 * 64} {
		if _, err := New(nil, make([]int8, n)); err == nil {
			t.Errorf("%d weights make a tagger", n)
		}
	}
}
