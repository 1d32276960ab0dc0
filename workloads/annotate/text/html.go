package text

import "bytes"

// wellFormed cleans markup as long as it is well-formed, in one pass over the source.
// Where it is not, it stops before the construct, and says so.
func (c *cleaner) wellFormed() (at int, ok bool) {
	source := c.source
	for i := 0; i < len(source); {
		open := bytes.IndexByte(source[i:], '<')
		if open < 0 {
			c.copyText(i, len(source))
			return len(source), true
		}
		open += i
		c.copyText(i, open)
		if open+1 == len(source) {
			c.take(open, open+1)
			return len(source), true
		}
		switch next := source[open+1]; {
		case next == '/' && open+2 < len(source) && letter(source[open+2]), letter(next):
			if i, ok = c.tag(open); !ok {
				return open, false
			}
		case next == '!' || next == '?' || next == '/':
			size := declaration(source[open:])
			if size == 0 {
				return open, false
			}
			i = open + size
		default: // "a < b"
			c.take(open, open+1)
			i = open + 1
		}
	}
	return len(source), true
}

func letter(b byte) bool { return b|32 >= 'a' && b|32 <= 'z' }

// declaration is the size of the comment, document type or instruction that b
// begins with, 0 if it is malformed.
func declaration(b []byte) int {
	if bytes.HasPrefix(b, []byte("<!--")) {
		if bytes.HasPrefix(b, []byte("<!-->")) || bytes.HasPrefix(b, []byte("<!--->")) {
			return 0
		}
		stop := bytes.Index(b[4:], []byte("-->"))
		if stop < 0 || bytes.Contains(b[4:4+stop], []byte("--!>")) {
			return 0
		}
		return 4 + stop + 3
	}
	if b[1] == '/' {
		return 0
	}
	return bytes.IndexByte(b, '>') + 1
}

// tag deals with the tag at open, and with what an element that hides its content
// holds. It gives the position after.
func (c *cleaner) tag(open int) (next int, ok bool) {
	source := c.source
	i := open + 1
	closing := source[i] == '/'
	if closing {
		i++
	}
	name := i
	for i < len(source) && nameByte[source[i]] {
		i++
	}
	e := elementOf(source[name:i])
	stop := attributes(source, i)
	if stop < 0 {
		return 0, false
	}
	if closing {
		c.closed(e)
		return stop, true
	}
	c.opened(e)
	if e == hidden || e == title {
		end := endTag(source[stop:], source[name:i])
		if end < 0 {
			return 0, false
		}
		if e == title {
			c.copyText(stop, stop+end)
		}
		return stop + end, true
	}
	return stop, true
}

var nameByte = func() (table [256]bool) {
	for i := range table {
		c := byte(i)
		table[i] = letter(c) || c >= '0' && c <= '9' || c == '-' || c == ':' || c == '_' || c == '.'
	}
	return
}()

// attributes gives the position after the ">" of the tag whose name ended at i, -1
// where it is malformed.
func attributes(source []byte, i int) int {
	if i < len(source) && source[i] == '>' {
		return i + 1
	}
	if i < len(source) && source[i] > ' ' && source[i] != '/' {
		return -1
	}
	for i < len(source) {
		switch source[i] {
		case '>':
			return i + 1
		case '<':
			return -1
		case '"', '\'':
			if source[i-1] != '=' {
				return -1
			}
			end := bytes.IndexByte(source[i+1:], source[i])
			if end < 0 {
				return -1
			}
			i += end + 2
			if i < len(source) && source[i] > ' ' && source[i] != '>' && source[i] != '/' {
				return -1
			}
			continue
		}
		i++
	}
	return -1
}

// endTag finds the end tag of name in b, -1 if there is none.
func endTag(b, name []byte) int {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("</"))
		if i < 0 {
			return -1
		}
		at += i
		after := at + 2 + len(name)
		if after < len(b) && bytes.EqualFold(b[at+2:after], name) && (b[after] <= ' ' || b[after] == '/' || b[after] == '>') {
			return at
		}
		at += 2
	}
}

// element is what an element does to the text around it.
type element uint8

const (
	inline element = iota
	block          // a paragraph of its own
	newline
	hidden // its content is not text
	title
	lines // keeps its line breaks
)

func elementOf(name []byte) element {
	if len(name) > 10 {
		return inline
	}
	var room [10]byte
	for i, b := range name {
		room[i] = b
		if b >= 'A' && b <= 'Z' {
			room[i] |= 32
		}
	}
	switch string(room[:len(name)]) {
	case "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol", "table", "tr", "td", "th", "hr", "section",
		"article", "header", "footer", "main", "aside", "nav", "blockquote", "form", "fieldset", "dl", "dt", "dd", "figure",
		"figcaption", "address", "body", "html", "head", "option", "select", "thead", "tbody", "tfoot", "caption", "details",
		"summary", "center", "dialog", "button", "legend", "textarea":
		return block
	case "br":
		return newline
	case "script", "style", "iframe", "noembed", "noframes", "noscript":
		return hidden
	case "title":
		return title
	case "pre", "xmp", "plaintext", "listing":
		return lines
	}
	return inline
}

func (c *cleaner) opened(e element) {
	switch e {
	case block:
		c.separate("\n\n")
	case newline:
		c.separate("\n")
	case title:
		c.beginTitle()
	case lines:
		c.separate("\n\n")
		c.keepLines++
	}
}

func (c *cleaner) closed(e element) {
	switch e {
	case block:
		c.separate("\n\n")
	case title:
		c.endTitle()
	case lines:
		c.separate("\n\n")
		c.keepLines = max(0, c.keepLines-1)
	}
}
