package text

import (
	"html"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

func cleaned(source string) *document.Document {
	d := &document.Document{Source: []byte(source), Format: document.HTML}
	Clean(d)
	return d
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"", ""},
		{"plain  text\n here", "plain text here"},
		{"<p>One</p><p>Two <b>bo</b>ld</p>", "One\n\nTwo bold\n\n"},
		{"a<br>b<br/>c", "a\nb\nc"},
		{"AT&amp;T &lt;3 &quot;x&quot;&nbsp;y &#39;z&#x27; &eacute; &#233; &unknown; & &copy2", `AT&T <3 "x" y 'z' é é &unknown; & ©2`},
		{"<script>var a = '<p>x</p>';</script>x<style>p{}</style>", "x"},
		{"x<!-- c --><!doctype html><?xml y?>z", "xz"},
		{"<title> The &amp; title </title>body", "The & title\n\nbody"},
		{"<a title=\"a>b\" href='c'>d</a>", "d"},
		{"a < b > c", "a < b > c"},
		{"<pre>one\ntwo\n\nthree</pre>", "one\ntwo\n\nthree\n\n"},
		{"<textarea>x</textarea>", "x\n\n"},
		{"<li>a<li>b", "a\n\nb"},
		// malformed
		{"<p class=\"x>never closed", ""},
		{"a<b c='d'e>f", "af"},
		{"x<!-- no end", "x"},
		{"<script>no end", ""},
		{"a<", "a<"},
		{"a</>b", "ab"},
		{"<p<p>x", "x"},
		{"<!-->x", "x"},
		{"a&", "a&"},
		{"&#0;&#x110000;&#xD800;", "���"},
	} {
		if got := string(cleaned(c.source).Text); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.source, got, c.want)
		}
	}
}

func TestTitle(t *testing.T) {
	d := cleaned("<html><head><title>  Big\n news </title></head><body><p>x</p><svg><title>no</title></svg></body></html>")
	if got := string(d.Text[d.Title.Start:d.Title.End]); got != "Big news" {
		t.Errorf("title %q", got)
	}
}

func TestPlainTextIsNotCopied(t *testing.T) {
	d := &document.Document{Source: []byte("a  &amp; <b>")}
	Clean(d)
	if &d.Text[0] != &d.Source[0] || len(d.Text) != len(d.Source) {
		t.Error("plain text is its own text")
	}
}

// markup draws well-formed HTML.
func markup(t *rapid.T) string {
	words := rapid.SampledFrom([]string{"word", "Two words", " ", "\n", "\n\n ", "AT&amp;T", "&eacute;", "&#233;", "猫", "a &lt; b", "&nbsp;", "x & y", "a < b", "&copy;", "é", "."})
	tags := rapid.SampledFrom([]string{"p", "b", "div", "a", "h1", "span", "td", "li", "pre", "P", "em"})
	attributes := rapid.SampledFrom([]string{"", " class=x", ` title="a>b"`, ` title='it"s'`, " hidden", ` a = "b"`[:4] + `"b"`})
	var b strings.Builder
	var write func(depth int)
	write = func(depth int) {
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				b.WriteString("<br>")
			case 1:
				b.WriteString(rapid.SampledFrom([]string{"<!-- x -->", "<script>a<b</script>", "<style>p</style>", "<hr/>", "<title>T</title>"}).Draw(t, "odd"))
			case 2, 3:
				b.WriteString(words.Draw(t, "text"))
			default:
				if depth == 0 {
					continue
				}
				name := tags.Draw(t, "tag")
				b.WriteString("<" + name + attributes.Draw(t, "attributes") + ">")
				write(depth - 1)
				b.WriteString("</" + name + ">")
			}
		}
	}
	write(4)
	return b.String()
}

// TestFastAndLenientAgree: on well-formed markup the fast pass and the tokeniser of
// golang.org/x/net/html make the same text.
func TestFastAndLenientAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := markup(t)
		fast := cleaner{d: &document.Document{}, source: []byte(source)}
		if at, ok := fast.wellFormed(); !ok {
			t.Fatalf("%q counts as malformed at %d", source, at)
		}
		slow := cleaner{d: &document.Document{}, source: []byte(source)}
		slow.lenient(0)
		if string(fast.out) != string(slow.out) {
			t.Fatalf("%q\nfast    %q\nlenient %q", source, fast.out, slow.out)
		}
	})
}

// TestOriginsHoldTheText: what a token was made from reads as the token, with its
// references decoded.
func TestOriginsHoldTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.OneOf(rapid.Custom(markup), rapid.String()).Draw(t, "source")
		d := cleaned(source)
		Tokenise(d)
		check(t, d)
		for i := range d.Tokens {
			k := d.Tokens[i]
			from, to := d.Origin(k.Start, k.End)
			raw := source[from:to]
			if strings.ContainsAny(raw, "<") {
				continue // markup within a word
			}
			if got, want := string(d.TokenBytes(i)), html.UnescapeString(raw); got != want {
				t.Fatalf("token %q comes from %q of %q", got, raw, source)
			}
		}
	})
}

func TestWarmDocumentDoesNotAllocate(t *testing.T) {
	source := []byte(page(300))
	d := &document.Document{}
	work := func() {
		d.Reset()
		d.Source, d.Format = source, document.HTML
		Clean(d)
		Tokenise(d)
		Identify(d)
	}
	work()
	if n := testing.AllocsPerRun(20, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d.Language.Code != "en" {
		t.Errorf("language %v", d.Language)
	}
}

const story = `The central bank said on Tuesday that it would raise its main interest rate by a quarter of a percentage point, the third
increase this year, as officials in Washington try to slow inflation without pushing the economy into a recession. "We don't expect
this to be painless," said Margaret O'Neill, a senior economist at Harcourt & Lowe Inc. in New York. Markets had priced in the
decision, but shares of regional lenders fell 2.3% after the announcement; the dollar rose to $1.07 against the euro. Dr. Alan
Whitfield, who advises the U.S. Treasury, argued that well-known risks remain. Nobody in London, Paris or Tokyo should be surprised
if growth weakens before the end of 2026, he wrote in an e-mail to clients.`

// page is a small page of HTML with so many words of text.
func page(words int) string {
	var b strings.Builder
	b.WriteString("<!doctype html><html><head><title>News</title><meta charset=utf-8><style>p{margin:1em}</style><script>var a=1<2;</script></head><body class=\"x\"><div id=\"main\">")
	fields := strings.Fields(story)
	for i := range words {
		if i%60 == 0 {
			b.WriteString("</p>\n<p class=\"para\">")
		}
		b.WriteString(html.EscapeString(fields[i%len(fields)]))
		b.WriteByte(' ')
	}
	b.WriteString("</p></div></body></html>")
	return b.String()
}

func BenchmarkClean(b *testing.B) {
	source := []byte(page(300))
	d := &document.Document{}
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		d.Reset()
		d.Source, d.Format = source, document.HTML
		Clean(d)
	}
}

func BenchmarkTokenise(b *testing.B) {
	d := cleaned(page(300))
	b.SetBytes(int64(len(d.Text)))
	for b.Loop() {
		Tokenise(d)
	}
	b.ReportMetric(float64(len(d.Tokens)), "tokens")
}

func BenchmarkIdentify(b *testing.B) {
	d := cleaned(page(300))
	Tokenise(d)
	for b.Loop() {
		Identify(d)
	}
}
