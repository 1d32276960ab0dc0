package text

import (
	"bytes"

	"golang.org/x/net/html"
)

// lenient cleans the source from at on, with the tokeniser of golang.org/x/net/html,
// which does with malformed markup what browsers do.
func (c *cleaner) lenient(at int) {
	z := html.NewTokenizer(bytes.NewReader(c.source[at:]))
	skip := element(inline)
	for {
		kind := z.Next()
		size := len(z.Raw())
		size = min(size, len(c.source)-at)
		switch kind {
		case html.ErrorToken:
			return
		case html.TextToken:
			if skip != hidden {
				c.copyText(at, at+size)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			e := elementOf(name)
			c.opened(e)
			if kind == html.StartTagToken && e == hidden {
				skip = hidden
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			skip = inline
			c.closed(elementOf(name))
		}
		at += size
	}
}
