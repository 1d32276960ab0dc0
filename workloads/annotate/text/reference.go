package text

import (
	"html"
	"unicode/utf8"
)

// reference decodes the character reference at i, or takes the ampersand for one,
// and gives the position after it.
func (c *cleaner) reference(i, end int) int {
	source := c.source
	stop := i + 1
	for stop < end && stop-i < 34 && (letter(source[stop]) || source[stop] >= '0' && source[stop] <= '9' || source[stop] == '#') {
		stop++
	}
	if stop < end && source[stop] == ';' {
		if decoded := known(source[i+1 : stop]); decoded != "" {
			c.putDecoded(decoded, i, stop+1-i)
			return stop + 1
		}
		stop++
	}
	if stop-i < 3 {
		c.take(i, i+1)
		return i + 1
	}
	var room [4]byte
	if r := number(source[i+1 : stop]); r >= 0 {
		c.putDecoded(string(room[:utf8.EncodeRune(room[:], r)]), i, stop-i)
		return stop
	}
	// The whole list, and references without a semicolon, are the standard library's.
	raw := string(source[i:stop])
	decoded := html.UnescapeString(raw)
	if decoded == raw {
		c.take(i, i+1)
		return i + 1
	}
	size := len(raw)
	if raw[len(raw)-1] != ';' || decoded[len(decoded)-1] == ';' {
		_, first := utf8.DecodeRuneInString(decoded)
		size = len(raw) - (len(decoded) - first)
		decoded = decoded[:first]
	}
	c.putDecoded(decoded, i, size)
	return i + size
}

// known decodes the references that nearly all are.
func known(name []byte) string {
	switch string(name) {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot", "#34":
		return "\""
	case "#39", "apos", "#x27":
		return "'"
	case "nbsp", "#160":
		return " "
	case "mdash":
		return "—"
	case "ndash":
		return "–"
	case "rsquo", "#8217":
		return "’"
	case "lsquo", "#8216":
		return "‘"
	case "ldquo", "#8220":
		return "“"
	case "rdquo", "#8221":
		return "”"
	case "hellip":
		return "…"
	case "pound":
		return "£"
	case "euro":
		return "€"
	case "copy":
		return "©"
	}
	return ""
}

// number decodes "#38;" or "#x26;"; -1 for anything that needs a closer look.
func number(b []byte) rune {
	if len(b) < 3 || b[0] != '#' || b[len(b)-1] != ';' {
		return -1
	}
	b = b[1 : len(b)-1]
	base := rune(10)
	if b[0]|32 == 'x' {
		base, b = 16, b[1:]
	}
	if len(b) == 0 || len(b) > 7 {
		return -1
	}
	var r rune
	for _, c := range b {
		d := rune(c - '0')
		if d > 9 {
			d = rune(c|32-'a') + 10
		}
		if d < 0 || d >= base {
			return -1
		}
		r = r*base + d
	}
	if r < 0xa0 && r > 0x7e || r < ' ' || !utf8.ValidRune(r) {
		return -1
	}
	return r
}

// putDecoded puts what a reference of size bytes at i stands for; white space
// collapses with what stands before it.
func (c *cleaner) putDecoded(s string, i, size int) {
	if len(s) == 1 && s[0] <= ' ' {
		c.separate(" ")
		return
	}
	c.d.AppendSegment(len(c.out), i, size, true)
	c.out = append(c.out, s...)
	c.begun = -1
}
