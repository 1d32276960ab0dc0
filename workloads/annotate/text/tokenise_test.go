package text

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clipperhouse/uax29/v2/words"
	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

func plainDocument(s string) *document.Document {
	d := &document.Document{Source: []byte(s)}
	Clean(d)
	Tokenise(d)
	return d
}

// divided shows a document's tokens, a bar between sentences and two between
// paragraphs.
func divided(d *document.Document) string {
	var b strings.Builder
	for i, s := range d.Sentences {
		if i > 0 {
			b.WriteString(" |")
			if s.Paragraph {
				b.WriteString("|")
			}
			b.WriteString(" ")
		}
		for j := s.Start; j < s.End; j++ {
			if j > s.Start {
				b.WriteByte(' ')
			}
			b.Write(d.TokenBytes(int(j)))
		}
	}
	return b.String()
}

func TestTokenise(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" \n\t\x00 ", ""},
		{"Hello, world!", "Hello , world !"},
		{"I don't think it's John's. He'll go.", "I do n't think it 's John 's . | He 'll go ."},
		{"We couldn’t've", "We could n’t 've"},
		{"a full-fledged, pre-war e-mail", "a full - fledged , pre-war e-mail"},
		{"Dr. Smith of Acme Inc. paid $5.50 (10%) at 10:30am.", "Dr. Smith of Acme Inc. paid $ 5.50 ( 10 % ) at 10:30 am ."},
		{"He left. She stayed", "He left . | She stayed"},
		{"He said \"Go.\" Then he left.", "He said \" Go . \" | Then he left ."},
		{"Is it? \"No,\" she said.", "Is it ? | \" No , \" she said ."},
		{"the U.S. The end", "the U.S. | The end"},
		{"the U.S. Army", "the U.S. Army"},
		{"well ... maybe", "well ... maybe"},
		{"one\n\ntwo\nthree", "one || two three"},
		{"and/or 10/11/2001 AT&T", "and / or 10/11/2001 AT&T"},
		{"See http://a.org/x?y=(1), www.b.com. Mail <me@c.org>!", "See http://a.org/x?y=(1 ) , www.b.com . | Mail < me@c.org > !"},
		{"great:) :-) bad :(", "great :) :-) bad :("},
		{"cannot gonna im thats", "can not gon na i m that s"},
		{"“Quoted” — yes…", "“ Quoted ” — yes …"},
		{"Ba'athist O'Rourke 'em 'twas", "Ba'athist O'Rourke 'em 'twas"},
		{"1. First 2. Second", "1 . First 2 . | Second"},
		{"end.Next one", "end . | Next one"},
		{"caf\xe9 na\xc3\xafve", "caf\xe9 naïve"},
		{"Привет, мир! Как дела?", "Привет , мир ! | Как дела ?"},
		{"שלום, עולם", "שלום , עולם"},
		{"我喜欢猫。你呢？", "我 喜 欢 猫 。 | 你 呢 ？"},
		{"カタカナの語", "カタカナ の 語"},
		{"ok 👩‍👩‍👧 fine", "ok 👩‍👩‍👧 fine"},
		{"no\u00a0break\u200bzero\ufeffmark", "no break zero mark"},
		{"713-853-1234 2001-2005", "713-853-1234 2001 - 2005"},
		{"@user #topic C++ 3,000.5 .5", "@user #topic C++ 3,000.5 .5"},
		{"Really?! Yes", "Really ?! | Yes"},
	} {
		if got := divided(plainDocument(c.text)); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestGiantTokensAreDivided(t *testing.T) {
	for _, piece := range []string{"a", "é", "猫", "-", "👩‍👩‍👧", "\xff", "a.", "’", "''"} {
		d := plainDocument(strings.Repeat(piece, 200_000/len(piece)))
		check(t, d)
		for i := range d.Tokens {
			if n := len(d.TokenBytes(i)); n > maxToken+8 {
				t.Fatalf("%q: token of %d bytes", piece, n)
			}
		}
	}
}

func TestSentencesAreBounded(t *testing.T) {
	d := plainDocument(strings.Repeat("word ", 5000))
	check(t, d)
	for _, s := range d.Sentences {
		if s.End-s.Start > maxSentence {
			t.Fatalf("sentence of %d tokens", s.End-s.Start)
		}
	}
}

func TestScoreOfATreebank(t *testing.T) {
	line := func(id, form, misc string) string {
		return fmt.Sprintf("%s\t%s\t_\t_\t_\t_\t_\t_\t_\t%s\n", id, form, misc)
	}
	file := "# newdoc id = x\n# newpar id = x1\n" +
		line("1", "I", "_") + line("2-3", "don't", "SpaceAfter=No") + line("2", "do", "_") + line("3", "n't", "_") +
		line("3.1", "know", "_") + line("4", ".", "_") + "\n" +
		"# newpar id = x2\n" + line("1", "Full-fledged", "SpaceAfter=No") + line("2", ".", "_") + "\n"
	var missed []Missed
	s, err := Score(strings.NewReader(file), func(m Missed) { missed = append(missed, m) })
	if err != nil {
		t.Fatal(err)
	}
	if s.Tokens != (F1{Right: 5, Found: 8, Wanted: 6}) || s.Sentences != (F1{Right: 2, Found: 2, Wanted: 2}) {
		t.Errorf("%+v", s)
	}
	if len(missed) != 1 || missed[0] != (Missed{"Full-fledged", "Full - fledged"}) {
		t.Errorf("missed %v", missed)
	}
	if _, err := Score(strings.NewReader("1\tx\n"), nil); err == nil {
		t.Error("a line of two columns is no CoNLL-U")
	}
}

// check holds a tokenised document to what the package promises of every input.
func check(t interface{ Fatalf(string, ...any) }, d *document.Document) {
	last := uint32(0)
	for i := range d.Tokens {
		k := &d.Tokens[i]
		if k.Start < last || k.End <= k.Start || int(k.End) > len(d.Text) {
			t.Fatalf("token %d from %d to %d after %d, text has %d", i, k.Start, k.End, last, len(d.Text))
		}
		for _, c := range d.Text[last:k.Start] {
			if kinds[c]&(word|mark) != 0 {
				t.Fatalf("%q lies between tokens", d.Text[last:k.Start])
			}
		}
		if glued := k.Flags&document.Glued != 0; glued != (i > 0 && k.Start == last) {
			t.Fatalf("token %d glued %v", i, glued)
		}
		last = k.End
		from, to := d.Origin(k.Start, k.End)
		if to <= from || int(to) > len(d.Source) {
			t.Fatalf("token %d %q comes from %d to %d of %d", i, d.TokenBytes(i), from, to, len(d.Source))
		}
		if i > 0 {
			before := d.Tokens[i-1]
			if _, end := d.Origin(before.Start, before.End); end > from {
				t.Fatalf("token %d begins at %d of the source, the one before ends at %d", i, from, end)
			}
		}
		if d.Terms[k.Term].Word != k.Word {
			t.Fatalf("token %d has the term of another word", i)
		}
	}
	for _, c := range d.Text[last:] {
		if kinds[c]&(word|mark) != 0 {
			t.Fatalf("%q lies after the last token", d.Text[last:])
		}
	}
	next := uint32(0)
	for _, s := range d.Sentences {
		if s.Start != next || s.End <= s.Start {
			t.Fatalf("sentence from %d to %d after %d", s.Start, s.End, next)
		}
		next = s.End
	}
	if int(next) != len(d.Tokens) {
		t.Fatalf("sentences end at %d of %d tokens", next, len(d.Tokens))
	}
	if len(d.Segments) == 0 {
		boundaries(t, d)
	}
}

// boundaries checks that no token splits a character.
func boundaries(t interface{ Fatalf(string, ...any) }, d *document.Document) {
	valid := make([]bool, len(d.Text)+1)
	for i := range string(d.Text) {
		valid[i] = true
	}
	valid[len(d.Text)] = true
	for i := range d.Tokens {
		if k := d.Tokens[i]; !valid[k.Start] || !valid[k.End] {
			t.Fatalf("token %d %q splits a character", i, d.TokenBytes(i))
		}
	}
}

func TestTokensOfAnyText(t *testing.T) {
	pieces := rapid.SampledFrom([]string{" ", "\n", "\n\n", ".", "'", "’", "-", "\"", "n't", "'s", "Mr.", "U.S.", "the", "http://x.y", "@", "3", ",",
		"猫", "ไทย", "é", "\xff", "\x00", "👍🏽", "…", "“", "a", "Z", "(", ")", ":", "%", "$", "/", "\u200d", "\u0301", "&"})
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOf(rapid.OneOf(pieces, rapid.String())).Draw(t, "text"), "")
		check(t, plainDocument(s))
	})
}

// TestWordsAgreeWithUnicode: where text is letters of any script and spaces alone,
// tokens are the words of UAX 29.
func TestWordsAgreeWithUnicode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.RuneFrom([]rune("aeiouxyzABCéüßñøабвгЖЯαβγΩאבגابت猫犬カタไท한국")), 1, 8, -1)
		s := strings.Join(rapid.SliceOfN(letters, 0, 20).Draw(t, "words"), " ")
		var want []string
		for w := words.FromString(s); w.Next(); {
			if v := w.Value(); v != " " {
				want = append(want, v)
			}
		}
		d := plainDocument(s)
		var got []string
		for i := range d.Tokens {
			got = append(got, string(d.TokenBytes(i)))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q: %q, UAX 29 says %q", s, got, want)
		}
	})
}

func FuzzTokenise(f *testing.F) {
	for _, s := range []string{"Hello, world!", "it's 5:30 p.m. (EST)", "猫。Ж’s \xff\xc0\x00", "http://a.b/?c='d'>", "a--b...c?!", "<p>AT&amp;T &lt;b&gt</p>"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, source []byte, markup bool) {
		d := &document.Document{Source: source}
		if markup {
			d.Format = document.HTML
		}
		Clean(d)
		Tokenise(d)
		Identify(d)
		check(t, d)
	})
}

// The short cut for words of letters gives what the long way gives.
func TestPlainWordsAreChunks(t *testing.T) {
	chunk := rapid.OneOf(rapid.StringMatching(`[A-Za-z]{1,20}`), rapid.SampledFrom([]string{"cannot", "Dont", "gimme", "Mr", "etc", "Jan", "a", "I", "U.S", "1",
		"it's", "x_y", "é", "”", "http", "www"}))
	mark := rapid.SampledFrom([]string{"", "", "", ",", ".", ",,", "...", ".,", "!", ". ", ")", "\"", "”", ".\u00a0", ",\t", "/", "@"})
	space := rapid.SampledFrom([]string{" ", " ", " ", "  ", "\n", "\n\n", "\t", "\u00a0", ""})
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(1, 40).Draw(t, "words") {
			b.WriteString(chunk.Draw(t, "chunk") + mark.Draw(t, "mark") + space.Draw(t, "space"))
		}
		fast, long := plainDocument(b.String()), &document.Document{Source: []byte(b.String())}
		long.SetText(long.Source)
		way := tokeniser{d: long, text: long.Text, paragraph: true, careful: true}
		way.run()
		if !slices.Equal(fast.Tokens, long.Tokens) || !slices.Equal(fast.Sentences, long.Sentences) || !slices.Equal(fast.Terms, long.Terms) {
			t.Fatalf("%q: %s, want %s", b.String(), divided(fast), divided(long))
		}
	})
}
