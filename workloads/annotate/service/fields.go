package service

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// fields are those of a document in JSON. They alias the line that they were read
// from, which is written over on the way.
type fields struct {
	id, text, format, workflow, source []byte
	store, given                       bool // given: there is a text
}

// errors of readFields; texts are told to the client.
var (
	errNoObject   = errors.New("want a JSON object with a field text")
	errNoText     = errors.New("the field text is missing")
	errTruncated  = errors.New("the JSON ends in the middle")
	errEscape     = errors.New("a backslash with nothing that JSON knows behind it")
	errControl    = errors.New("a control character in a string must be escaped")
	errNotUTF8    = errors.New("not UTF-8")
	errAfter      = errors.New("something stands behind the JSON object")
	errBoolean    = errors.New("store: want true or false")
	errIdentifier = fmt.Errorf("id: longer than %d bytes", maxID)
)

// maxID is the number of bytes of an id.
const maxID = 256

// readFields reads a document's fields from a line. It decodes strings in place.
func readFields(line []byte) (f fields, err error) {
	p := parser{b: line}
	if p.next() != '{' {
		return f, errNoObject
	}
	p.at++
	for first := true; ; first = false {
		c := p.next()
		if c == '}' && first {
			p.at++
			break
		}
		if c != '"' {
			return f, p.expected("a field's name")
		}
		name, err := p.str()
		if err != nil {
			return f, err
		}
		if p.next() != ':' {
			return f, p.expected("a colon")
		}
		p.at++
		if err := f.set(&p, name); err != nil {
			return f, err
		}
		c = p.next()
		p.at++
		if c == '}' {
			break
		}
		if c != ',' {
			p.at--
			return f, p.expected("a comma or a brace")
		}
	}
	if p.next() != 0 || p.at < len(p.b) {
		return f, errAfter
	}
	return f, f.check()
}

// set reads the value of a field.
func (f *fields) set(p *parser, name []byte) (err error) {
	var to *[]byte
	switch string(name) {
	case "id":
		to = &f.id
	case "text":
		to, f.given = &f.text, true
	case "format":
		to = &f.format
	case "workflow":
		to = &f.workflow
	case "source":
		to = &f.source
	case "store":
		f.store, err = p.boolean()
		return err
	default:
		return fmt.Errorf("unknown field %q", name[:min(len(name), 64)])
	}
	if p.next() != '"' {
		return fmt.Errorf("%s: want a string", name)
	}
	if *to, err = p.str(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (f *fields) check() error {
	switch {
	case !f.given:
		return errNoText
	case len(f.id) > maxID:
		f.id = f.id[:0]
		return errIdentifier
	case !utf8.Valid(f.id):
		f.id = f.id[:0]
		return notUTF8("id")
	case !utf8.Valid(f.text):
		return notUTF8("text")
	case !utf8.Valid(f.format):
		return notUTF8("format")
	case !utf8.Valid(f.source):
		return notUTF8("source")
	case !utf8.Valid(f.workflow):
		return notUTF8("workflow")
	}
	return nil
}

func notUTF8(field string) error { return fmt.Errorf("%s: %w", field, errNotUTF8) }

// parser reads JSON from b, from at on.
type parser struct {
	b  []byte
	at int
}

// next passes white space and gives the byte after it, 0 at the end.
func (p *parser) next() byte {
	for p.at < len(p.b) {
		switch c := p.b[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) expected(what string) error {
	if p.at >= len(p.b) {
		return errTruncated
	}
	return fmt.Errorf("byte %d: want %s", p.at, what)
}

func (p *parser) boolean() (bool, error) {
	p.next()
	for word, value := range booleans {
		if bytes.HasPrefix(p.b[p.at:], []byte(word)) {
			p.at += len(word)
			return value, nil
		}
	}
	return false, errBoolean
}

var booleans = map[string]bool{"true": true, "false": false}

// stops are the bytes at which a string's plain part ends.
var stops = func() (table [256]bool) {
	for c := range 32 {
		table[c] = true
	}
	table['"'], table['\\'] = true, true
	return
}()

// str reads the string that begins at p.at and decodes it in place: what it stands for
// is never longer.
func (p *parser) str() ([]byte, error) {
	b := p.b
	start := p.at + 1
	i := start
	for i < len(b) && !stops[b[i]] {
		i++
	}
	to := i
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			p.at = i + 1
			return b[start:to:to], nil
		case c == '\\':
			size, n := unescape(b[i:], b[to:])
			if size == 0 {
				return nil, errEscape
			}
			i, to = i+size, to+n
		default:
			return nil, errControl
		}
		from := i
		for i < len(b) && !stops[b[i]] {
			i++
		}
		to += copy(b[to:], b[from:i])
	}
	return nil, errTruncated
}

// unescape decodes the escape that b begins with to dst, and gives its size and that
// of what it stands for; 0 if it is none. Halves of a surrogate pair that stand alone
// become U+FFFD.
func unescape(b, dst []byte) (size, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		dst[0] = c
	case 'n':
		dst[0] = '\n'
	case 't':
		dst[0] = '\t'
	case 'r':
		dst[0] = '\r'
	case 'b':
		dst[0] = '\b'
	case 'f':
		dst[0] = '\f'
	case 'u':
		r, ok := hex4(b[2:])
		if !ok {
			return 0, 0
		}
		size = 6
		if utf16.IsSurrogate(r) {
			second, ok := rune(0), false
			if len(b) > 7 && b[6] == '\\' && b[7] == 'u' {
				second, ok = hex4(b[8:])
			}
			if r = utf16.DecodeRune(r, second); ok && r != utf8.RuneError {
				size = 12
			}
		}
		var room [utf8.UTFMax]byte
		return size, copy(dst, room[:utf8.EncodeRune(room[:], r)])
	default:
		return 0, 0
	}
	return 2, 1
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|32 >= 'a' && c|32 <= 'f':
			r = r<<4 | rune(c|32-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// view is b as a string, without a copy: b must not change while it is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
