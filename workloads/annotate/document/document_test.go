package document

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		word  string
		shape Shape
	}{
		{"dog", Lower}, {"Dog", Title}, {"I", Title}, {"NATO", Capitals}, {"U.S.", Capitals}, {"McDonald", Mixed},
		{"42", Number}, {"1,000.5", Number}, {"...", Mark}, {"B2B", Alphanumeric}, {"well-known", Hyphened},
		{"café", Lower}, {"—", Mark}, {"n’t", Mixed}, {"n't", Mixed},
	} {
		var d Document
		d.AppendWords([]string{c.word})
		if got := d.Tokens[0].Shape; got != c.shape {
			t.Errorf("%q has shape %d, want %d", c.word, got, c.shape)
		}
		if d.Tokens[0].Word != Hash([]byte(c.word)) {
			t.Errorf("%q: Describe and Hash differ", c.word)
		}
	}
	if Hash([]byte("It’s 1999")) != Hash([]byte("it's 2026")) {
		t.Error("folding")
	}
	var d Document
	d.AppendWords([]string{"Walking"})
	if p, s := d.Tokens[0].Prefix, d.Tokens[0].Suffix; p != 'W'|'a'<<8|'l'<<16|'k'<<24 || s != 'g'|'n'<<8|'i'<<16|'k'<<24 {
		t.Errorf("prefix %x suffix %x", p, s)
	}
}

func TestEntityMarks(t *testing.T) {
	for k := Person; k <= Miscellaneous; k++ {
		if b := Begin(k); b.Kind() != k || !b.Begins() {
			t.Errorf("begin %v", k)
		}
		if i := Inside(k); i.Kind() != k || i.Begins() {
			t.Errorf("inside %v", k)
		}
	}
	if EntityMark(0).Kind() != NoEntity || EntityMark(0).Begins() {
		t.Error("outside")
	}
}

func TestTags(t *testing.T) {
	for i := 1; i < Tags; i++ {
		if tag, ok := ParseTag(Tag(i).String()); !ok || tag != Tag(i) {
			t.Errorf("tag %d %q", i, Tag(i))
		}
	}
	if _, ok := ParseTag(""); ok {
		t.Error("the empty name is no tag")
	}
}

func TestTermsCountWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,2}|[A-Z][a-z]|’`), 0, 3000).Draw(t, "words")
		var d Document
		before := rapid.IntRange(0, 3000).Draw(t, "distinct words before")
		for n := range before { // its storage is reused
			d.AppendWords([]string{strconv.Itoa(n)})
		}
		for range 2 {
			d.Reset()
			d.AppendWords(words)
			if len(d.Tokens) != len(words) {
				t.Fatalf("%d tokens of %d words", len(d.Tokens), len(words))
			}
			count := map[uint32]uint32{}
			for _, w := range words {
				count[HashString(w)]++
			}
			if len(d.Terms) != len(count) {
				t.Fatalf("%d terms, want %d", len(d.Terms), len(count))
			}
			for i := range d.Tokens {
				term := d.Terms[d.Tokens[i].Term]
				if term.Word != d.Tokens[i].Word || term.Count != count[term.Word] || int(term.First) > i {
					t.Fatalf("token %d: %+v", i, term)
				}
			}
		}
	})
}

func TestOriginOfDecodedText(t *testing.T) {
	d := Document{Source: []byte("<p>AT&amp;T</p>x")}
	text := append(d.Buffer(), "AT&T\n\nx"...)
	d.AppendSegment(0, 3, 2, false)
	d.AppendSegment(2, 5, 5, true)
	d.AppendSegment(3, 10, 1, false)
	d.AppendSegment(6, 15, 1, false)
	d.SetText(text)
	for _, c := range []struct{ start, end, from, to uint32 }{
		{0, 4, 3, 11}, {0, 3, 3, 10}, {2, 3, 5, 10}, {3, 4, 10, 11}, {6, 7, 15, 16}, {0, 7, 3, 16}, {1, 2, 4, 5},
	} {
		if from, to := d.Origin(c.start, c.end); from != c.from || to != c.to {
			t.Errorf("%d-%d comes from %d-%d, want %d-%d", c.start, c.end, from, to, c.from, c.to)
		}
	}
}

func TestWarmDocumentDoesNotAllocate(t *testing.T) {
	words := []string{"The", "committee", "said", "it", "'s", "done", ".", "Café", "—", "42"}
	var d Document
	work := func() {
		d.Reset()
		for range 50 {
			d.AppendWords(words)
		}
	}
	work()
	if n := testing.AllocsPerRun(20, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPoolLetsGoOfGiants(t *testing.T) {
	var p Pool
	d := p.Get()
	d.SetText(make([]byte, keepAtMost+1))
	if d.Footprint() <= keepAtMost {
		t.Error("footprint leaves out the text")
	}
	p.Put(d)
	if got := p.Get(); got == d {
		t.Error("the pool kept a giant")
	}
}

func TestAppendedPartsCountAsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-f]{1,2}`), 2, 200).Draw(t, "words")
		cut := rapid.IntRange(1, len(words)-1).Draw(t, "cut")
		var whole Document
		whole.AppendWords(words[:cut])
		at := len(whole.Text)
		whole.AppendWords(words[cut:])
		var first, second, joined Document
		whole.Slice(&first, 0, at)
		whole.Slice(&second, at, len(whole.Text))
		first.ResetTokens()
		appendAll(&first)
		appendAll(&second)
		joined.Source = whole.Text
		joined.SetText(whole.Text)
		joined.Append(&first, 0)
		joined.Append(&second, at)
		if len(joined.Tokens) != len(words) || len(joined.Terms) != len(whole.Terms) || len(joined.Sentences) != 2 {
			t.Fatalf("%d tokens, %d terms, %d sentences", len(joined.Tokens), len(joined.Terms), len(joined.Sentences))
		}
		for i := range joined.Tokens {
			a, b := joined.Tokens[i], whole.Tokens[i]
			if a.Start != b.Start || a.End != b.End || joined.Terms[a.Term] != whole.Terms[b.Term] {
				t.Fatalf("token %d: %+v of %+v, want %+v of %+v", i, a, joined.Terms[a.Term], b, whole.Terms[b.Term])
			}
		}
	})
}

// appendAll divides text at its spaces.
func appendAll(d *Document) {
	start := -1
	for i := 0; i <= len(d.Text); i++ {
		switch space := i == len(d.Text) || d.Text[i] == ' '; {
		case space && start >= 0:
			d.AppendToken(start, i, 0)
			start = -1
		case !space && start < 0:
			start = i
		}
	}
	d.EndSentence(true)
}

func TestStopWords(t *testing.T) {
	var d Document
	d.AppendWords([]string{"The", "Reactor", "IS", "n’t", ",", "1999", "here", "coolant"})
	for i, stop := range []bool{true, false, true, true, true, true, true, false} {
		if got := d.Terms[d.Tokens[i].Term].Stop; got != stop {
			t.Errorf("%q: stop %v", d.TokenBytes(i), got)
		}
	}
}

// The short way to describe a token, which takes eight bytes at a time, says what the
// long one does.
func TestDescribedEitherWay(t *testing.T) {
	byAny := rapid.OneOf(rapid.StringMatching(`[ -~]{1,20}`), rapid.StringMatching(`[A-Za-z]{1,20}`), rapid.StringMatching(`[0-9.,-]{1,18}`), rapid.StringN(1, 20, 40))
	rapid.Check(t, func(t *rapid.T) {
		word, after := byAny.Draw(t, "word"), rapid.StringN(0, 20, 40).Draw(t, "after")
		short := Token{End: uint32(len(word))}
		long := short
		short.describe([]byte(word + after))
		long.describeLong([]byte(word))
		if short != long || short.Word != HashString(word) {
			t.Fatalf("%q: %+v, want %+v", word, short, long)
		}
	})
}
