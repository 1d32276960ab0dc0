package summary

import (
	"slices"
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

func TestSummaryHoldsWhatTheTextComesBackTo(t *testing.T) {
	d := prepared("It rained on Monday. The reactor leaked coolant. Someone had lunch. Engineers closed the reactor after the coolant leak. Birds sang. The weather was fine there.")
	Summarise(d)
	if !slices.Equal(d.Summary, []uint32{1, 3}) {
		t.Errorf("summary %v", d.Summary)
	}
}

func TestSummaryOfAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := prepared(rapid.StringMatching(`([A-Za-z .?\n]|\. ){0,400}`).Draw(t, "text"))
		Summarise(d)
		if len(d.Summary) != min(MaxSentences, (len(d.Sentences)+2)/3) {
			t.Fatalf("%d of %d sentences", len(d.Summary), len(d.Sentences))
		}
		if !slices.IsSorted(d.Summary) || len(slices.Compact(slices.Clone(d.Summary))) != len(d.Summary) {
			t.Fatalf("summary %v", d.Summary)
		}
		for _, s := range d.Summary {
			if int(s) >= len(d.Sentences) {
				t.Fatalf("sentence %d of %d", s, len(d.Sentences))
			}
		}
	})
}

func TestWarmDocumentDoesNotAllocate(t *testing.T) {
	d := prepared("One thing. Another thing. A third thing. A fourth thing.")
	Summarise(d)
	if n := testing.AllocsPerRun(20, func() { Summarise(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSummarise(b *testing.B) {
	var s string
	for range 25 {
		s += "The central bank said on Tuesday that its main rate would rise again. "
	}
	d := prepared(s)
	for b.Loop() {
		Summarise(d)
	}
	b.ReportMetric(float64(len(d.Tokens)), "tokens")
}
