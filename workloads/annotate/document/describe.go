package document

import (
	"encoding/binary"
	"math/bits"
)

// Hash is a hash, 32 bits, of the folded bytes: capitals of ASCII as small letters,
// digits as '0', and typographic quotation marks, dashes and the ellipsis as their
// ASCII equivalents, so that "It's", "it's" and "it’s" are one word. It is never 0.
//
// It takes eight bytes at a time, little-endian, the last ones filled up with zeros:
// h becomes the upper half of (h XOR bytes) * 0x9e3779b97f4a7c15 XOR its lower half,
// from h = 0xd6e8feb86659fd93 * (number of bytes + 1) on; then the halves of h XOR.
// (Folded multiplication: Yi, "wyhash", 2019.)
func Hash(b []byte) uint32 {
	var room [96]byte
	if beyond(b) {
		b = foldMarks(room[:0], b)
	}
	h := hashStart(len(b))
	for len(b) > 0 {
		n := min(8, len(b))
		var part uint64
		for i, c := range b[:n] {
			part |= uint64(folded[c]) << (8 * i)
		}
		h, b = hashStep(h, part), b[n:]
	}
	return hashEnd(h)
}

// beyond says whether there are bytes beyond ASCII.
func beyond(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// HashString is Hash of a string.
func HashString(s string) uint32 { return Hash([]byte(s)) }

func hashStart(size int) uint64 { return 0xd6e8feb86659fd93 * uint64(size+1) }

func hashStep(h, part uint64) uint64 {
	high, low := bits.Mul64(h^part, 0x9e3779b97f4a7c15)
	return high ^ low
}

func hashEnd(h uint64) uint32 { return max(uint32(h^h>>32), 1) }

// describe fills in what the bytes of the token, those of text from Start to End, say
// of it: Word, Suffix, Prefix, Shape and the flag Beyond.
func (t *Token) describe(text []byte) {
	n := t.End - t.Start
	if n > 16 {
		t.describeLong(text[t.Start:t.End])
		return
	}
	first, second := load(text, t.Start, n)
	if (first|second)&highs != 0 {
		t.describeLong(text[t.Start:t.End])
		return
	}
	f, seen := fold(first)
	t.Prefix = uint32(first)
	h := hashStep(hashStart(int(n)), f)
	last := f << (64 - 8*n)
	if n > 8 {
		g, more := fold(second)
		h, seen = hashStep(h, g), seen+more
		last = g<<(128-8*n) | f>>(8*n-64)
	}
	t.Word, t.Suffix = hashEnd(h), bits.ReverseBytes32(uint32(last>>32))
	if seen == lowers*tally(n) {
		t.Shape = Lower
		return
	}
	seen += marks * tally(int(n)-seen.of(lowers)-seen.of(uppers)-seen.of(digits))
	t.Shape = shape(text[t.Start:t.End], seen)
}

// load gives the n bytes of text from start on, 16 at most, filled up with zeros.
func load(text []byte, start, n uint32) (first, second uint64) {
	if b := text[start:]; len(b) >= 16 {
		first, second = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	} else {
		var room [16]byte
		copy(room[:], b)
		first, second = binary.LittleEndian.Uint64(room[:]), binary.LittleEndian.Uint64(room[8:])
	}
	if n <= 8 {
		return first & (1<<(8*n) - 1), 0
	}
	return first, second & (1<<(8*n-64) - 1)
}

// Eight bytes that are all the same.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// between marks, by their highest bit, the bytes of b that lie between from and to.
// They must all be ASCII.
func between(b uint64, from, to byte) uint64 {
	return (b + uint64(0x80-from)*ones) &^ (b + uint64(0x7f-to)*ones) & highs
}

// fold folds eight ASCII bytes, and counts their letters and digits.
func fold(b uint64) (folded uint64, seen tally) {
	upper, lower, digit := between(b, 'A', 'Z'), between(b, 'a', 'z'), between(b, '0', '9')
	seen = lowers*tally(bits.OnesCount64(lower)) + uppers*tally(bits.OnesCount64(upper)) + digits*tally(bits.OnesCount64(digit))
	return (b | upper>>2) &^ (digit >> 7 * 0x0f), seen
}

// describeLong describes long tokens, and those with bytes beyond ASCII.
func (t *Token) describeLong(b []byte) {
	var room [96]byte
	if beyond(b) {
		t.Flags |= Beyond
		b = foldMarks(room[:0], b)
	}
	t.Word, t.Prefix, t.Suffix = Hash(b), prefix(b), 0
	var seen tally
	for _, c := range b {
		seen += class[c]
	}
	for _, c := range b[max(0, len(b)-4):] {
		t.Suffix = t.Suffix<<8 | uint32(folded[c])
	}
	t.Shape = shape(b, seen)
}
