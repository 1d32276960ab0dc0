package sentiment

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

func text(words ...string) *document.Document {
	d := &document.Document{}
	d.AppendWords(words)
	return d
}

func learned(t *testing.T) *Classifier {
	t.Helper()
	var examples []Example
	for range 5 {
		examples = append(examples,
			NewExample(text("a", "wonderful", "film"), true, 12), NewExample(text("not", "bad", "at", "all"), true, 12),
			NewExample(text("a", "dreadful", "film"), false, 12), NewExample(text("not", "good", "at", "all"), false, 12))
	}
	c, err := New(Train(examples, Options{Bits: 12, Rounds: 20, Smoothing: 1, Rate: 0.5, Trust: 0.5, Random: rand.New(rand.NewPCG(1, 1))}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLearnsWhatItIsShown(t *testing.T) {
	c := learned(t)
	for _, x := range []struct {
		words      []string
		favourable bool
	}{
		{[]string{"Wonderful", "!"}, true}, {[]string{"dreadful"}, false}, {[]string{"not", "bad"}, true}, {[]string{"not", "good"}, false},
	} {
		d := text(x.words...)
		if c.Classify(d); !d.Sentiment.Known || d.Sentiment.Score > 0 != x.favourable {
			t.Errorf("%v: %+v", x.words, d.Sentiment)
		}
		if n := testing.AllocsPerRun(20, func() { c.Classify(d) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	d := text()
	d.Sentiment.Known = true
	if c.Classify(d); d.Sentiment.Known {
		t.Error("a text without words is judged")
	}
}

// What was judged before leaves no trace, and a score is a score whatever the words.
func TestEachTextIsJudgedByItself(t *testing.T) {
	c := learned(t)
	rapid.Check(t, func(t *rapid.T) {
		a := text(rapid.SliceOfN(rapid.String(), 0, 30).Draw(t, "a")...)
		b := text(rapid.SliceOfN(rapid.String(), 0, 30).Draw(t, "b")...)
		c.Classify(a)
		first := a.Sentiment
		c.Classify(b)
		c.Classify(a)
		if a.Sentiment != first || !(first.Score >= -1 && first.Score <= 1) {
			t.Fatalf("%+v, then %+v", first, a.Sentiment)
		}
	})
}

func TestWeightsOfTheWrongShape(t *testing.T) {
	for _, n := range []int{0, 32, 65, 192} {
		if _, err := New(Weights{Features: make([]int8, n)}); err == nil {
			t.Errorf("%d weights make a classifier", n)
		}
	}
}
