package entity

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

func unknown(t testing.TB) *vocabulary.Vocabulary {
	t.Helper()
	v, err := vocabulary.New(vocabulary.Words{
		Hash: []uint32{0, document.HashString("the")}, Cluster: []uint16{0, 1}, Class: []uint8{0, 1},
		Only: []document.Tag{0, document.TagDT}, Nameless: []uint8{0, 1}, Rarity: []uint8{255, 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var (
	per  = document.Begin(document.Person)
	iper = document.Inside(document.Person)
	loc  = document.Begin(document.Location)
	iorg = document.Inside(document.Organization)
	org  = document.Begin(document.Organization)
)

func lessons() []Sentence {
	n := document.TagNNP
	return []Sentence{
		{[]string{"Ada", "Lovelace", "saw", "the", "Thames", "."}, []document.Tag{n, n, document.TagVBD, document.TagDT, n, document.TagPeriod}, []document.EntityMark{per, iper, 0, 0, loc, 0}},
		{[]string{"In", "Oslo", "Bob", "left", "Acme", "Steel", "Works"}, []document.Tag{document.TagIN, n, n, document.TagVBD, n, n, n}, []document.EntityMark{0, loc, per, 0, org, iorg, iorg}},
		{[]string{"Nothing", "happened"}, []document.Tag{document.TagNN, document.TagVBD}, []document.EntityMark{0, 0}},
	}
}

func options() Options {
	return Options{Bits: 12, Rounds: 30, Rate: 0.1, Dropout: 0.2, Random: rand.New(rand.NewPCG(1, 1))}
}

func learned(t testing.TB) *Recognizer {
	t.Helper()
	v := unknown(t)
	r, err := New(v, Train(v, lessons(), options()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func prepared(v *vocabulary.Vocabulary, sentences ...Sentence) *document.Document {
	d := &document.Document{}
	for _, s := range sentences {
		start := len(d.Tokens)
		d.AppendWords(s.Words)
		for i, tag := range s.Tags {
			d.Tokens[start+i].Tag = tag
		}
	}
	v.Assign(d)
	return d
}

func TestLearnsWhatItIsShown(t *testing.T) {
	r := learned(t)
	d := prepared(r.vocabulary, lessons()...)
	r.Recognize(d)
	var want []document.EntityMark
	for _, s := range lessons() {
		want = append(want, s.Marks...)
	}
	for i := range d.Tokens {
		if d.Tokens[i].Entity != want[i] {
			t.Errorf("%s is marked %d, not %d", d.TokenBytes(i), d.Tokens[i].Entity, want[i])
		}
	}
	var names []string
	for _, e := range d.Entities {
		names = append(names, e.Kind.String()+" "+string(d.Bytes(e.Start, e.End)))
	}
	if wanted := []string{"PER Ada Lovelace", "LOC Thames", "LOC Oslo", "PER Bob", "ORG Acme Steel Works"}; !slices.Equal(names, wanted) {
		t.Errorf("entities %q", names)
	}
	if n := testing.AllocsPerRun(20, func() { r.Recognize(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTrainingIsRepeatable(t *testing.T) {
	v := unknown(t)
	if !reflect.DeepEqual(Train(v, lessons(), options()), Train(v, lessons(), options())) {
		t.Error("the same seed gives other weights")
	}
}

func TestMarksAndLabels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.SliceOf(rapid.Map(rapid.IntRange(0, 8), func(i int) document.EntityMark { return document.EntityMark(i) })).Draw(t, "marks")
		got := labelsOf(marks)
		before := start
		for i, l := range got {
			if !follows(before, l) {
				t.Fatalf("label %d after %d", l, before)
			}
			if k := marks[i].Kind(); k <= document.Location && kindOf(l) != k {
				t.Fatalf("mark %d has label %d", marks[i], l)
			}
			before = l
		}
		if n := len(got); n > 0 && !slices.Contains(closed[:], got[n-1]) {
			t.Fatalf("ends with %d", got[n-1])
		}
	})
}

// The best sequence by Viterbi is the best of all.
func TestDecodingFindsTheBestSequence(t *testing.T) {
	v := unknown(t)
	rapid.Check(t, func(t *rapid.T) {
		w := Weights{Emissions: make([]int8, 64), Transitions: make([]int16, TransitionCount)}
		for i := range w.Transitions {
			w.Transitions[i] = rapid.Int16Range(-50, 50).Draw(t, "transition")
		}
		r, err := New(v, w)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, 4).Draw(t, "words")
		s := &scratch{}
		d := &document.Document{}
		d.Tokens = make([]document.Token, n)
		for range n {
			s.sums = append(s.sums, [16]int16(rapid.SliceOfN(rapid.Int16Range(-100, 100), 16, 16).Draw(t, "emission")))
		}
		r.write(d, 0, s, r.decode(s, true, true))
		marks := make([]document.EntityMark, n)
		for i := range marks {
			marks[i] = d.Tokens[i].Entity
		}
		if got, best := r.score(s, labelsOf(marks)), r.bestOf(s, nil); got != best {
			t.Fatalf("score %d of %v, the best is %d", got, marks, best)
		}
	})
}

func (r *Recognizer) score(s *scratch, sequence []int) int {
	sum, before := 0, start
	for i, l := range sequence {
		sum += int(r.chain[before][l]) + int(s.sums[i][l])
		before = l
	}
	return sum
}

// bestOf tries all sequences.
func (r *Recognizer) bestOf(s *scratch, prefix []int) int {
	if len(prefix) == len(s.sums) {
		if !slices.Contains(closed[:], prefix[len(prefix)-1]) {
			return math.MinInt
		}
		return r.score(s, prefix)
	}
	before := start
	if n := len(prefix); n > 0 {
		before = prefix[n-1]
	}
	best := math.MinInt
	for l := range labels {
		if follows(before, l) {
			best = max(best, r.bestOf(s, append(slices.Clone(prefix), l)))
		}
	}
	return best
}

// The probabilities of forward and backward are those of adding up all sequences.
func TestMarginalsAreThoseOfAllSequences(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	c := chain{}
	for p := range c.transitions {
		for l := range c.transitions[p] {
			c.transitions[p][l] = random.NormFloat64()
		}
	}
	for range 3 {
		var e [labels]float64
		for l := range e {
			e[l] = random.NormFloat64()
		}
		c.emissions = append(c.emissions, e)
	}
	c.expect([]int{0, 0, 0})
	var want [3][labels]float64
	var total float64
	for _, a := range opening {
		for b := range labels {
			for _, z := range closed {
				if !follows(a, b) || !follows(b, z) {
					continue
				}
				p := math.Exp(c.transitions[start][a] + c.transitions[a][b] + c.transitions[b][z] + c.emissions[0][a] + c.emissions[1][b] + c.emissions[2][z])
				total += p
				want[0][a], want[1][b], want[2][z] = want[0][a]+p, want[1][b]+p, want[2][z]+p
			}
		}
	}
	for i := range want {
		for l := range labels {
			if math.Abs(c.marginals[i][l]-want[i][l]/total) > 1e-9 {
				t.Errorf("word %d, label %d: %v, want %v", i, l, c.marginals[i][l], want[i][l]/total)
			}
		}
	}
}

func TestWeightsOfTheWrongShape(t *testing.T) {
	for _, n := range [][2]int{{0, TransitionCount}, {17, TransitionCount}, {48, TransitionCount}, {64, 0}, {64, TransitionCount + 1}} {
		if _, err := New(nil, Weights{Emissions: make([]int8, n[0]), Transitions: make([]int16, n[1])}); err == nil {
			t.Errorf("%d weights and %d transitions make a recogniser", n[0], n[1])
		}
	}
}
