package keyphrase

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/text"
)

func prepared(s string) *document.Document {
	d := &document.Document{Source: []byte(s)}
	text.Clean(d)
	text.Tokenise(d)
	return d
}

// tagged gives the tokens the tags of a list that is used again and again.
func tagged(d *document.Document, tags ...document.Tag) *document.Document {
	for i := range d.Tokens {
		d.Tokens[i].Tag = tags[i%len(tags)]
	}
	return d
}

func phrase(d *document.Document, i int) string {
	return string(d.Bytes(d.Phrases[i].Start, d.Phrases[i].End))
}

func TestNounChunks(t *testing.T) {
	d := prepared("The interest rate rose. New interest rate rose.")
	tagged(d, document.TagDT, document.TagNN, document.TagNN, document.TagVBD, document.TagPeriod,
		document.TagJJ, document.TagNN, document.TagNN, document.TagVBD, document.TagPeriod)
	d.Terms[d.Tokens[1].Term].Vocabulary = 1
	d.Terms[d.Tokens[2].Term].Vocabulary = 2
	f := Finder{Rarity: []uint8{0, 100, 60}}
	for range 2 {
		f.Find(d)
		// "New" is no stop word, so the second chunk is another phrase
		if len(d.Phrases) != 2 || phrase(d, 0) != "New interest rate" || phrase(d, 1) != "interest rate" || d.Phrases[1].Count != 1 {
			t.Fatalf("phrases %v", d.Phrases)
		}
	}
}

func TestMentionsCount(t *testing.T) {
	d := tagged(prepared("reactor leaks. Reactor leaks. lunch came."), document.TagNN, document.TagVBZ, document.TagPeriod)
	var f Finder
	f.Find(d)
	if phrase(d, 0) != "reactor" || d.Phrases[0].Count != 2 {
		t.Errorf("phrases %v", d.Phrases)
	}
}

func TestWithoutTags(t *testing.T) {
	d := prepared("The coolant pump of the reactor failed.")
	var f Finder
	f.Find(d)
	if len(d.Phrases) != 2 || phrase(d, 0) != "coolant pump" || phrase(d, 1) != "reactor failed" {
		t.Errorf("phrases %v", d.Phrases)
	}
}

func TestPhrasesOfAnyDocument(t *testing.T) {
	var f Finder
	rapid.Check(t, func(t *rapid.T) {
		d := prepared(strings.Join(rapid.SliceOf(rapid.StringMatching(`[A-Ca-c]{1,3}[ .]|\n\n`)).Draw(t, "text"), ""))
		for i := range d.Tokens {
			d.Tokens[i].Tag = document.Tag(rapid.IntRange(0, document.Tags+3).Draw(t, "tag"))
		}
		f.Find(d)
		if len(d.Phrases) > MaxPhrases {
			t.Fatalf("%d phrases", len(d.Phrases))
		}
		for i, p := range d.Phrases {
			if p.End <= p.Start || p.End-p.Start > maxLength || int(p.End) > len(d.Tokens) || p.Count == 0 {
				t.Fatalf("phrase %+v", p)
			}
			if i > 0 && p.Score > d.Phrases[i-1].Score {
				t.Fatalf("phrases out of order: %v", d.Phrases)
			}
		}
		for _, s := range f.slots {
			if s != 0 {
				t.Fatal("the table was not emptied")
			}
		}
	})
}

func TestManyChunksAreBounded(t *testing.T) {
	d := &document.Document{}
	word := []byte("aaaa")
	for range maxChunks + 500 {
		for i := 3; ; i-- {
			if word[i]++; word[i] <= 'z' {
				break
			}
			word[i] = 'a'
		}
		d.AppendWords([]string{string(word)})
	}
	tagged(d, document.TagNN)
	var f Finder
	f.Find(d)
	if len(f.chunks) != maxChunks || len(d.Phrases) != MaxPhrases {
		t.Errorf("%d chunks, %d phrases", len(f.chunks), len(d.Phrases))
	}
}

func TestWarmFinderDoesNotAllocate(t *testing.T) {
	d := tagged(prepared("One red thing met another blue thing."), document.TagNN, document.TagJJ)
	var f Finder
	f.Find(d)
	if n := testing.AllocsPerRun(20, func() { f.Find(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	var s string
	for i := range 25 {
		s += "The central bank of " + string(rune('A'+i)) + "land said that its main interest rate would rise again. "
	}
	d := tagged(prepared(s), document.TagDT, document.TagJJ, document.TagNN, document.TagIN, document.TagNNP, document.TagVBD)
	var f Finder
	for b.Loop() {
		f.Find(d)
	}
	b.ReportMetric(float64(len(d.Tokens)), "tokens")
}
