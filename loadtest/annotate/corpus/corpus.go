// Package corpus makes the documents of the annotation load test: distinct, of given
// numbers of words, from files or from a seeded generator.
//
// A corpus is a bank of sentences by their number of words. A document is a seeded
// draw of sentences that together have exactly the words asked for, set in
// paragraphs, and for a share of the documents in HTML with a head, headings, links,
// a script and character references. The same seed, number and size give the same
// document on every machine; different numbers give different ones.
package corpus

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// Lengths of sentences in a bank.
const (
	shortest = 1
	longest  = 30
	// perLength is how many sentences of each length a generated bank has.
	perLength = 400
)

// Corpus makes documents. It is safe for concurrent use.
type Corpus struct {
	seed      uint64
	htmlShare float64
	bank      [longest + 1][]sentence
	name      string
}

// sentence is a sentence in the four forms that it is written in.
type sentence struct{ plain, html, plainJSON, htmlJSON []byte }

// Options of a corpus.
type Options struct {
	Seed uint64
	// HTMLShare is the share (0..1) of documents in HTML.
	HTMLShare float64
}

func (c *Corpus) add(text string, words int) {
	if words < shortest || words > longest {
		return
	}
	html := escapeHTML(text)
	c.bank[words] = append(c.bank[words], sentence{[]byte(text), []byte(html), inJSON(text), inJSON(html)})
}

// check makes sure that every length can be had.
func (c *Corpus) check() error {
	for n := shortest; n <= longest; n++ {
		if len(c.bank[n]) == 0 {
			return fmt.Errorf("corpus %s: no sentence of %d words can be made of it: it needs at least some thousand words of running text", c.name, n)
		}
	}
	return nil
}

// Name says what the corpus is made of.
func (c *Corpus) Name() string { return c.name }

// Document appends document number to dst, with so many words (at least 1) outside of
// markup, and says whether it is HTML. With asJSON it is written as the inside of a
// JSON string.
func (c *Corpus) Document(dst []byte, number uint64, words int, asJSON bool) ([]byte, bool) {
	random := rand.New(rand.NewPCG(c.seed, number))
	p := page{corpus: c, random: random, asJSON: asJSON, html: random.Float64() < c.htmlShare, dst: dst}
	p.write(max(words, 1))
	return p.dst, p.html
}

// page is a document in the making.
type page struct {
	corpus *Corpus
	random *rand.Rand
	asJSON bool
	html   bool
	dst    []byte
}

func (p *page) write(words int) {
	if p.html {
		p.markup(head)
	}
	first := true
	for inParagraph := 0; words > 0; first = false {
		n := p.length(words)
		if inParagraph == 0 {
			p.begin(first)
			inParagraph = 2 + p.random.IntN(5)
		} else {
			p.dst = append(p.dst, ' ')
		}
		p.sentence(n)
		words -= n
		if inParagraph--; inParagraph == 0 && words > 0 {
			p.end()
		}
	}
	if p.html {
		p.markup(foot)
	}
}

// length draws the words of the next sentence, so that the rest can be made, too.
func (p *page) length(left int) int {
	if left <= longest {
		if left > 12 && p.random.IntN(2) == 0 {
			return left / 2
		}
		return left
	}
	return min(6+p.random.IntN(20), left)
}

func (p *page) begin(first bool) {
	if p.html && !first {
		p.markup(paragraph)
	}
}

func (p *page) end() {
	switch {
	case p.html:
		p.markup(paragraphEnd)
	case p.asJSON:
		p.dst = append(p.dst, `\n\n`...)
	default:
		p.dst = append(p.dst, "\n\n"...)
	}
}

func (p *page) sentence(words int) {
	bank := p.corpus.bank[words]
	s := &bank[p.random.IntN(len(bank))]
	link := p.html && p.random.IntN(4) == 0
	if link {
		p.markup(anchor)
	}
	switch {
	case p.html && p.asJSON:
		p.dst = append(p.dst, s.htmlJSON...)
	case p.html:
		p.dst = append(p.dst, s.html...)
	case p.asJSON:
		p.dst = append(p.dst, s.plainJSON...)
	default:
		p.dst = append(p.dst, s.plain...)
	}
	if link {
		p.markup(anchorEnd)
	}
}

// piece is markup in both forms.
type piece struct{ plain, json []byte }

func newPiece(text string) piece { return piece{[]byte(text), inJSON(text)} }

func (p *page) markup(m piece) {
	if p.asJSON {
		p.dst = append(p.dst, m.json...)
	} else {
		p.dst = append(p.dst, m.plain...)
	}
}

var (
	head = newPiece(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><style>body { margin: 0 } .lead > b { color: #333 }</style>
<script>if (window.top && 1 < 2) { document.title += "&lt;" }</script></head>
<body class="article"><!-- main column -->
<p class="lead">`)
	paragraph    = newPiece(`<p>`)
	paragraphEnd = newPiece("</p>\n")
	anchor       = newPiece(`<a href="https://news.example.org/story?id=7&amp;ref=home">`)
	anchorEnd    = newPiece(`</a>`)
	foot         = newPiece("</p>\n<img src=\"x.png\" alt=\"\"></body></html>\n")
)

// inJSON is a text as the inside of a JSON string.
func inJSON(text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be written
	}
	return quoted[1 : len(quoted)-1]
}
