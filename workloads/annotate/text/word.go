package text

import (
	"bytes"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// runOfWord adds the token, or the tokens, that begin with the letter or digit at i,
// and gives the position after them. The chunk is from start to end.
func (t *tokeniser) runOfWord(start, i, end int) int {
	text := t.text
	begin := i
	var set kind
	for i < end {
		if k := kinds[text[i]]; k&(lower|upper) != 0 && set&digit == 0 {
			set |= k
			i++
			continue
		}
		k, size := character(text[i:end])
		if k&word != 0 {
			if k&(lower|upper) != 0 && set&digit != 0 && set&(lower|upper) == 0 && t.unit(i, end) {
				break
			}
			set |= k
			i += size
			continue
		}
		if k&mark == 0 {
			break
		}
		if i > begin && t.joins(begin, i, size, end, set, k) {
			i += size
			set |= mark
			continue
		}
		break
	}
	if set&mark == 0 && set&digit == 0 {
		t.word(begin, i)
		return i
	}
	if text[i-1] == '.' && set&(lower|upper) != 0 {
		t.add(begin, i)
		t.maybe = mayEnd(text[begin : i-1])
		return i
	}
	t.clitic(begin, i)
	return i
}

// joins says whether the mark at i belongs to the token that began at begin.
func (t *tokeniser) joins(begin, i, size, end int, set, k kind) bool {
	text := t.text
	var next kind
	if i+size < end {
		next, _ = character(text[i+size : end])
	}
	before, _ := character(text[i-1:])
	if text[i-1] >= 0x80 {
		before = lower
	}
	if k&quote != 0 { // "O'Rourke"; clitics are divided later
		return before&word != 0 && next&word != 0
	}
	switch text[i] {
	case '.':
		return t.fullStop(begin, i, end, before, next)
	case ',':
		return before == digit && next == digit
	case ':':
		return before == digit && next == digit
	case '-':
		return t.hyphen(begin, i, end, before, next, set)
	case '/':
		return before == digit && next == digit
	case '&':
		return before&upper != 0 && next&upper != 0
	case '@':
		return next&word != 0
	case '+':
		return i+1 == end && i == begin+1 || i+2 == end && text[i+1] == '+' || i+1 == end && text[i-1] == '+'
	case '#':
		return i == begin+1 && i+1 == end
	}
	return false
}

func (t *tokeniser) fullStop(begin, i, end int, before, next kind) bool {
	text := t.text
	switch {
	case i+1 < end && text[i+1] == '.':
		return false
	case next&word != 0:
		// "end.Next" lacks a space
		return !(before == lower && next == upper && i-begin > 1 && i+2 < end && kinds[text[i+2]] == lower && bytes.IndexByte(text[begin:i], '.') < 0)
	case before&(lower|upper) == 0:
		return false
	}
	return abbreviation(text[begin:i])
}

func (t *tokeniser) hyphen(begin, i, end int, before, next, set kind) bool {
	text := t.text
	switch {
	case next&word == 0:
		return false
	case set&(lower|upper) == 0 && next == digit:
		return longNumber(text[begin:end])
	case set&digit != 0 && set&upper != 0 && set&lower == 0:
		return true // names of models: "F16-A"
	}
	return before&(lower|upper) != 0 && affix(text[begin:i])
}

// longNumber tells telephone numbers and dates, which have several hyphens, from
// ranges, which have one.
func longNumber(b []byte) bool {
	hyphens := 0
	for _, c := range b {
		switch {
		case c == '-':
			hyphens++
		case kinds[c] == upper || kinds[c] == lower:
			return hyphens > 1
		}
	}
	return hyphens > 1 || len(b) == 8 && b[3] == '-'
}

// unit says whether the letters from i on are a unit of the number before.
func (t *tokeniser) unit(i, end int) bool {
	var room [8]byte
	n := 0
	for i < end && n < len(room) && kinds[t.text[i]]&(lower|upper) != 0 {
		room[n] = t.text[i] | 32
		i, n = i+1, n+1
	}
	if i < end && kinds[t.text[i]] == digit {
		return false
	}
	return units[string(room[:n])]
}

// word adds a run of letters, divided where it is a contraction written as one.
func (t *tokeniser) word(start, end int) {
	if n := end - start; n >= 2 && n <= 7 {
		if cut := contraction(t.text[start:end]); cut > 0 {
			t.add(start, start+cut)
			t.add(start+cut, end)
			return
		}
	}
	t.add(start, end)
}

// clitic adds a token from which "'s" and its like, two at most, are divided.
func (t *tokeniser) clitic(start, end int) {
	last := end - cliticSize(t.text[start:end])
	first := last
	if last < end {
		first = last - cliticSize(t.text[start:last])
	}
	t.add(start, first)
	t.add(first, last)
	t.add(last, end)
}

// cliticSize is the number of bytes of the clitic that b ends with, 0 if none.
func cliticSize(b []byte) int {
	n := len(b)
	for _, c := range clitics {
		if m := matchEnd(b, c); m > 0 && m < n {
			return m
		}
	}
	return 0
}

var clitics = [...]string{"n't", "'s", "'re", "'ve", "'ll", "'m", "'d"}

// matchEnd says how many bytes at the end of b spell s, whatever the case and
// whichever the apostrophe.
func matchEnd(b []byte, s string) int {
	i := len(b)
	for j := len(s) - 1; j >= 0; j-- {
		switch {
		case i == 0:
			return 0
		case s[j] == '\'' && i >= 3 && b[i-3] == 0xe2 && b[i-2] == 0x80 && (b[i-1] == 0x99 || b[i-1] == 0x98):
			i -= 3
		case b[i-1] == s[j] || kinds[b[i-1]] == upper && b[i-1]|32 == s[j]:
			i--
		default:
			return 0
		}
	}
	return len(b) - i
}

// contraction gives where a word without an apostrophe is divided, 0 if it is not.
func contraction(b []byte) int {
	if !contractionEnds[b[len(b)-2]|32][(b[len(b)-1]|32)&31] {
		return 0
	}
	var room [8]byte
	for i, c := range b {
		room[i] = c | 32
	}
	switch string(room[:len(b)]) {
	case "cannot", "gonna", "gotta", "gimme", "lemme", "wanna":
		return 3
	case "dont", "wont", "cant", "isnt", "hasnt", "didnt", "arent", "wasnt", "doesnt", "hadnt", "havent", "werent", "couldnt", "wouldnt":
		return len(b) - 2
	case "im", "ive":
		return 1
	case "lets":
		return 3
	case "thats":
		return 4
	}
	return 0
}

// contractionEnds are the last two letters of the words that contraction divides.
var contractionEnds = func() (ends [256][32]bool) {
	for _, two := range []string{"ot", "na", "ta", "me", "nt", "im", "ve", "ts"} {
		ends[two[0]][two[1]&31] = true
	}
	return
}()

// mayEnd says whether a sentence may end with an abbreviation: not with a title.
func mayEnd(b []byte) bool {
	return !titles[document.Hash(b)]
}
