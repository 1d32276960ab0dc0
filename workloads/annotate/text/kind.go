package text

import (
	"unicode"
	"unicode/utf8"
)

// kind is a set of properties of a character.
type kind uint8

const (
	lower kind = 1 << iota
	upper
	digit
	space
	mark  // punctuation, symbols
	high  // a byte beyond ASCII: look at the whole character
	joint // of a script that writes no spaces, or an emoji: ask Unicode's rules
	quote // an apostrophe or a single quotation mark, besides mark
	word  = lower | upper | digit
)

var kinds = func() (table [256]kind) {
	for i := range table {
		switch c := byte(i); {
		case c >= 'a' && c <= 'z', c == '_':
			table[i] = lower
		case c >= 'A' && c <= 'Z':
			table[i] = upper
		case c >= '0' && c <= '9':
			table[i] = digit
		case c <= ' ', c == 0x7f:
			table[i] = space
		case c >= utf8.RuneSelf:
			table[i] = high
		case c == '\'':
			table[i] = mark | quote
		default:
			table[i] = mark
		}
	}
	return
}()

// character tells the kind and the size in bytes of the character that b begins
// with. A byte that is not UTF-8 counts as a letter, as it mostly is one (of another
// encoding).
func character(b []byte) (kind, int) {
	if b[0] < utf8.RuneSelf {
		return kinds[b[0]], 1
	}
	r, size := utf8.DecodeRune(b)
	if r == utf8.RuneError && size <= 1 {
		return lower, 1
	}
	return runeKind(r), size
}

func runeKind(r rune) kind {
	switch {
	case r < 0xc0:
		switch r {
		case 0xaa, 0xb5, 0xba, 0xad:
			return lower
		case 0xa0, 0x85:
			return space
		}
		if r < 0xa0 {
			return space
		}
		return mark
	case r < 0x250:
		switch {
		case r == 0xd7 || r == 0xf7:
			return mark
		case unicode.IsUpper(r):
			return upper
		}
		return lower
	case r >= 0x2000 && r < 0x2070:
		return generalPunctuation(r)
	}
	return otherKind(r)
}

func generalPunctuation(r rune) kind {
	switch {
	case r <= 0x200b, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f:
		return space
	case r == 0x2018, r == 0x2019, r == 0x201b, r == 0x2032:
		return mark | quote
	case r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060:
		return lower // joiners and marks of direction stay with the word
	}
	return mark
}

func otherKind(r rune) kind {
	switch {
	case r == 0xfeff, r == 0x3000, r == 0x1680:
		return space
	case spaceless(r):
		return joint
	case unicode.IsUpper(r):
		return upper
	case unicode.IsLetter(r), unicode.IsMark(r):
		return lower
	case unicode.IsNumber(r):
		return digit
	case r >= 0x2190 && unicode.In(r, unicode.So, unicode.Sk, unicode.Cf):
		return joint
	case unicode.Is(unicode.Cf, r):
		return lower
	}
	return mark
}

// spaceless says whether r is of a script that writes no spaces between words.
func spaceless(r rune) bool {
	switch {
	case r >= 0x0e00 && r <= 0x0eff, r >= 0x1000 && r <= 0x109f, r >= 0x1780 && r <= 0x17ff:
		return true // Thai, Lao, Burmese, Khmer
	case r >= 0x2e80 && r <= 0x2fdf, r >= 0x3005 && r <= 0x3007, r >= 0x3021 && r <= 0x3029,
		r >= 0x3040 && r <= 0x31ff, r >= 0x3400 && r <= 0x9fff, r >= 0xf900 && r <= 0xfaff, r >= 0xff66 && r <= 0xff9d,
		r >= 0x20000 && r <= 0x3ffff:
		return true // Han, Kana
	}
	return false
}

// closer says whether the character at the start of b closes a quotation or a
// bracket, so that it belongs to the sentence that ended before it.
func closer(b []byte) bool {
	switch b[0] {
	case '"', '\'', ')', ']', '}':
		return true
	}
	if b[0] < utf8.RuneSelf {
		return false
	}
	switch r, _ := utf8.DecodeRune(b); r {
	case '”', '’', '»', '」', '』', '）', '】', '》':
		return true
	}
	return false
}

// ends says whether the character that b begins with ends a sentence in a script
// other than Latin.
func ends(b []byte) bool {
	switch r, _ := utf8.DecodeRune(b); r {
	case '。', '！', '？', '…', '｡', '।', '॥', '؟', '۔', '።', '．':
		return true
	}
	return false
}
