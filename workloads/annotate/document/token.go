package document

// Token is a word, a number, a mark of punctuation, or another piece of text that
// the models look at as one. 28 bytes.
type Token struct {
	Start, End uint32 // bytes of Text
	Word       uint32 // Hash of the token's bytes
	// Suffix holds the last four bytes, folded as for Hash, the last one lowest; fewer
	// for shorter tokens. Suffix&0xffffff is the three-byte suffix.
	Suffix uint32
	// Prefix holds the first four bytes as they are, the first one lowest.
	Prefix uint32
	Term   uint32 // index into Terms
	Shape  Shape
	Tag    Tag        // written by tagging
	Entity EntityMark // written by entity recognition
	Flags  Flags
}

// Shape tells tokens apart by their characters.
type Shape uint8

// Shapes. Letters beyond ASCII count as lower-case ones.
const (
	Lower    Shape = iota // letters, none of them a capital
	Title                 // one capital, the first
	Capitals              // no lower-case letter
	Mixed
	Number       // digits with or without marks
	Mark         // punctuation and symbols alone
	Alphanumeric // digits and letters
	Hyphened     // lower-case letters with hyphens
	Shapes       = 8
)

// Flags of a token.
type Flags uint8

// Flags.
const (
	SentenceStart Flags = 1 << iota
	// Glued says that no white space stands between the token and the one before.
	Glued
	// Beyond says that the token has bytes beyond ASCII.
	Beyond
)

// EntityMark is an entity kind with its place in the mention (BIO): 0 is outside,
// odd marks begin a mention, even ones continue it.
type EntityMark uint8

// Begin marks the first token of a mention of kind k, Inside the others.
func Begin(k EntityKind) EntityMark { return EntityMark(2*k - 1) }

// Inside marks the tokens of a mention of kind k after its first.
func Inside(k EntityKind) EntityMark { return EntityMark(2 * k) }

// Kind is the kind of entity that the mark belongs to.
func (m EntityMark) Kind() EntityKind { return EntityKind((m + 1) / 2) }

// Begins says whether a mention begins here.
func (m EntityMark) Begins() bool { return m&1 == 1 }

// Byte classes of the description of tokens.
const (
	isMark = iota
	isLower
	isUpper
	isDigit
)

// folded maps ASCII capitals to small letters and digits to '0'.
var folded, class = func() (folded [256]byte, class [256]uint8) {
	for i := range 256 {
		c := byte(i)
		folded[i] = c
		switch {
		case c >= 'a' && c <= 'z', c >= 0x80:
			class[i] = isLower
		case c >= 'A' && c <= 'Z':
			class[i], folded[i] = isUpper, c+32
		case c >= '0' && c <= '9':
			class[i], folded[i] = isDigit, '0'
		}
	}
	return
}()

const (
	hashStart = 2166136261
	hashPrime = 16777619
)

// Hash is FNV-1a, 32 bits, of the folded bytes: capitals of ASCII as small letters,
// digits as '0', and typographic quotation marks, dashes and the ellipsis as their
// ASCII equivalents, so that "It's", "it's" and "it’s" are one word. It is never 0.
func Hash(b []byte) uint32 {
	h := uint32(hashStart)
	for _, c := range b {
		if c >= 0x80 {
			var room [96]byte
			return hashFolded(foldMarks(room[:0], b))
		}
		h = (h ^ uint32(folded[c])) * hashPrime
	}
	return notZero(h)
}

// HashString is Hash of a string.
func HashString(s string) uint32 { return Hash([]byte(s)) }

func hashFolded(b []byte) uint32 {
	h := uint32(hashStart)
	for _, c := range b {
		h = (h ^ uint32(folded[c])) * hashPrime
	}
	return notZero(h)
}

func notZero(h uint32) uint32 {
	if h == 0 {
		return 1
	}
	return h
}

// foldMarks appends b with the marks of U+2010 to U+2026 that have an ASCII
// equivalent replaced by it.
func foldMarks(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == 0xe2 && i+2 < len(b) && b[i+1] == 0x80 {
			if s := asciiMark(b[i+2]); s != "" {
				dst = append(dst, s...)
				i += 2
				continue
			}
		}
		dst = append(dst, b[i])
	}
	return dst
}

// asciiMark gives the equivalent of U+2000 + (last byte - 0x80).
func asciiMark(last byte) string {
	switch last {
	case 0x90, 0x91, 0x92, 0x93, 0x94, 0x95:
		return "-"
	case 0x98, 0x99, 0x9a, 0x9b:
		return "'"
	case 0x9c, 0x9d, 0x9e, 0x9f:
		return "\""
	case 0xa6:
		return "..."
	}
	return ""
}

// Describe fills in what a token's bytes say of it: Word, Suffix, Prefix, Shape and
// the flag Beyond. b must not be empty.
func (t *Token) Describe(b []byte) {
	t.Prefix = prefix(b)
	h := uint32(hashStart)
	var seen [4]int
	var suffix uint32
	hyphens, high := 0, byte(0)
	for _, c := range b {
		f := folded[c]
		h = (h ^ uint32(f)) * hashPrime
		suffix = suffix<<8 | uint32(f)
		seen[class[c]]++
		high |= c
		if c == '-' {
			hyphens++
		}
	}
	if high >= 0x80 {
		t.describeBeyond(b)
		return
	}
	t.Word, t.Suffix = notZero(h), suffix
	t.Shape = shape(b[0], len(b), hyphens, &seen)
}

func (t *Token) describeBeyond(b []byte) {
	var room [96]byte
	f := foldMarks(room[:0], b)
	t.Flags |= Beyond
	h := uint32(hashStart)
	var seen [4]int
	hyphens := 0
	t.Suffix = 0
	for _, c := range f {
		h = (h ^ uint32(folded[c])) * hashPrime
		t.Suffix = t.Suffix<<8 | uint32(folded[c])
		seen[class[c]]++
		if c == '-' {
			hyphens++
		}
	}
	t.Word, t.Prefix = notZero(h), prefix(f)
	t.Shape = shape(f[0], len(f), hyphens, &seen)
}

func prefix(b []byte) uint32 {
	var p uint32
	for i := min(len(b), 4) - 1; i >= 0; i-- {
		p = p<<8 | uint32(b[i])
	}
	return p
}

func shape(first byte, n, hyphens int, seen *[4]int) Shape {
	upper, lower, digits, marks := seen[isUpper], seen[isLower], seen[isDigit], seen[isMark]
	switch {
	case marks == n:
		return Mark
	case digits > 0 && lower+upper == 0:
		return Number
	case digits > 0:
		return Alphanumeric
	case upper == 0 && marks == 0:
		return Lower
	case upper == 0 && hyphens > 0:
		return Hyphened
	case upper == 1 && class[first] == isUpper && (lower > 0 || n == 1):
		return Title
	case lower == 0 && upper > 0:
		return Capitals
	}
	return Mixed
}
