package text

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// inParts tokenises a document by parts.
func inParts(source string, want int) (*document.Document, []int) {
	d := &document.Document{Source: []byte(source)}
	Clean(d)
	starts := append([]int{0}, Cuts(d.Text, want, nil)...)
	var parts []*document.Document
	for i, start := range starts {
		end := len(d.Text)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		part := &document.Document{}
		d.Slice(part, start, end)
		Clean(part)
		Tokenise(part)
		Identify(part)
		parts = append(parts, part)
	}
	Join(d, parts, starts)
	return d, starts
}

func TestPartsByParagraphAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paragraphs := rapid.SliceOfN(rapid.SampledFrom([]string{story, "A short one.", "Dr. No went. home", "猫。", "it's " + story}), 2, 12).Draw(t, "paragraphs")
		source := strings.Join(paragraphs, "\n\n")
		want := rapid.IntRange(2, 6).Draw(t, "want")
		joined, starts := inParts(source, want)
		check(t, joined)
		for _, s := range starts[1:] {
			if source[s-2:s] != "\n\n" {
				return // no paragraph ended near enough
			}
		}
		whole := plainDocument(source)
		if len(whole.Tokens) != len(joined.Tokens) || len(whole.Sentences) != len(joined.Sentences) {
			t.Fatalf("%d tokens and %d sentences, the whole has %d and %d", len(joined.Tokens), len(joined.Sentences), len(whole.Tokens), len(whole.Sentences))
		}
		for i := range whole.Tokens {
			a, b := whole.Tokens[i], joined.Tokens[i]
			if a.Start != b.Start || a.End != b.End || a.Word != b.Word || whole.Terms[a.Term].Count != joined.Terms[b.Term].Count {
				t.Fatalf("token %d is %+v, in parts %+v", i, a, b)
			}
		}
		for i := range whole.Sentences {
			if whole.Sentences[i] != joined.Sentences[i] {
				t.Fatalf("sentence %d is %+v, in parts %+v", i, whole.Sentences[i], joined.Sentences[i])
			}
		}
	})
}

func TestPartsOfAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-z]{1,9}[ .\n]{1,2}){0,90}`), rapid.StringMatching(`猫*`)).Draw(t, "source")
		want := rapid.IntRange(0, 9).Draw(t, "want")
		d, starts := inParts(source, want)
		check(t, d)
		for i := 1; i < len(starts); i++ {
			if starts[i] <= starts[i-1] || starts[i] >= len(source) {
				t.Fatalf("cuts %v of %d", starts, len(source))
			}
		}
		if len(starts) > max(want, 1) {
			t.Fatalf("%d parts, want %d", len(starts), want)
		}
	})
}

func TestCutsDoNotSplitCharacters(t *testing.T) {
	text := strings.Repeat("猫", 4000)
	for _, c := range Cuts([]byte(text), 7, nil) {
		if c%3 != 0 {
			t.Errorf("cut at %d", c)
		}
	}
}
