package text

import (
	"bytes"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// marks adds the token that begins with the mark at i, of size bytes, and gives the
// position after it.
func (t *tokeniser) marks(start, i, size, end int) int {
	text := t.text
	if n := emoticon(text[i:end]); n > 0 {
		t.add(i, i+n)
		return i + n
	}
	if size > 1 {
		return t.beyond(i, size, end)
	}
	switch c := text[i]; c {
	case '.', '!', '?':
		return t.stop(start, i, end)
	case '\'':
		return t.singleQuote(start, i, end)
	case '-', '=', '*', '~', '<', '>', '+', '#', '|', '\\', '`', ',', '$', '/', '_':
		stop := t.row(i, end)
		if stop == i+1 && i == start && signs(c, text[stop:end]) {
			return t.runFrom(i, stop, end)
		}
		t.add(i, stop)
		return stop
	case '@':
		if i+1 < end && kinds[text[i+1]]&word != 0 {
			return t.runFrom(i, i+1, end)
		}
	}
	t.add(i, i+1)
	return i + 1
}

// signs says whether the mark belongs to the word after it: "-5", "#1", "#topic".
func signs(c byte, rest []byte) bool {
	if len(rest) == 0 {
		return false
	}
	k := kinds[rest[0]]
	return c == '#' && k&(lower|upper) != 0
}

// runFrom adds a token that begins with a mark at i and goes on with letters and
// digits from next on.
func (t *tokeniser) runFrom(i, next, end int) int {
	for next < end {
		k, size := character(t.text[next:end])
		if k&word == 0 {
			break
		}
		next += size
	}
	t.add(i, next)
	return next
}

// row is the end of the row of equal bytes that begins at i.
func (t *tokeniser) row(i, end int) int {
	c := t.text[i]
	for i < end && t.text[i] == c {
		i++
	}
	return i
}

// stop adds a row of full stops, question and exclamation marks.
func (t *tokeniser) stop(start, i, end int) int {
	text, stop := t.text, i
	for stop < end && (text[stop] == '.' || text[stop] == '!' || text[stop] == '?') {
		stop++
	}
	if stop == i+1 && text[i] == '.' && stop < end && kinds[text[stop]] == digit && i == start {
		return t.number(i, stop, end)
	}
	t.add(i, stop)
	t.ended = !t.numbering()
	return stop
}

// number adds one that begins with its decimal point.
func (t *tokeniser) number(i, next, end int) int {
	for next < end && (kinds[t.text[next]] == digit || t.text[next] == ',' && next+1 < end && kinds[t.text[next+1]] == digit) {
		next++
	}
	t.add(i, next)
	return next
}

// numbering says whether the sentence so far is the number of an item: "1.".
func (t *tokeniser) numbering() bool {
	first := 0
	if n := len(t.d.Sentences); n > 0 {
		first = int(t.d.Sentences[n-1].End)
	}
	return len(t.d.Tokens)-first == 2 && t.d.Tokens[first].Shape == document.Number
}

func (t *tokeniser) singleQuote(start, i, end int) int {
	text := t.text
	if i+1 < end && text[i+1] == '\'' {
		t.add(i, i+2)
		return i + 2
	}
	if i == start {
		stop := i + 1
		for stop < end && kinds[text[stop]]&word != 0 {
			stop++
		}
		if elided(text[i+1 : stop]) {
			t.add(i, stop)
			return stop
		}
	}
	t.add(i, i+1)
	return i + 1
}

// beyond adds a mark beyond ASCII; equal ones in a row are one token.
func (t *tokeniser) beyond(i, size, end int) int {
	stop := i + size
	for stop+size <= end && bytes.Equal(t.text[stop:stop+size], t.text[i:i+size]) {
		stop += size
	}
	t.add(i, stop)
	t.ended = t.ended || ends(t.text[i:])
	return stop
}

// address adds a chunk that is an address of the web or of mail, with the marks
// around it, and says whether it was one.
func (t *tokeniser) address(start, end int) bool {
	text := t.text
	first := start
	for first < end && kinds[text[first]]&(mark|quote) != 0 {
		first++
	}
	last := end
	for last > first && trailing(text[last-1]) {
		last--
	}
	if !isAddress(text[first:last]) {
		return false
	}
	for i := start; i < first; {
		i = t.marks(start, i, 1, first)
	}
	t.add(first, last)
	for i := last; i < end; {
		i = t.marks(start, i, 1, end)
	}
	return true
}

// trailing says whether a mark at the end of an address is not part of it.
func trailing(c byte) bool {
	switch c {
	case '.', ',', ';', ':', '!', '?', ')', '>', ']', '}', '"', '\'', '*':
		return true
	}
	return false
}

func isAddress(b []byte) bool {
	if len(b) < 5 {
		return false
	}
	if at := bytes.IndexByte(b, '@'); at > 0 {
		return bytes.IndexByte(b[at:], '.') > 1
	}
	if bytes.HasPrefix(b, []byte("www.")) || bytes.HasPrefix(b, []byte("WWW.")) {
		return true
	}
	slash := bytes.IndexByte(b, '/')
	if slash < 1 {
		return false
	}
	if b[slash-1] == ':' && slash+1 < len(b) && b[slash+1] == '/' {
		return true
	}
	dot := bytes.LastIndexByte(b[:slash], '.')
	return dot > 0 && slash-dot >= 3 && slash-dot <= 5 && kinds[b[slash-1]] == lower
}
