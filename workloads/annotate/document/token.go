package document

import "bytes"

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

// Small says that a token has nothing of a name: small letters with or without hyphens,
// a number, a mark, or what was divided from a word ("'s", "n't").
func (t *Token) Small() bool {
	if t.Shape == Mixed {
		return byte(t.Prefix) == '\'' || t.Prefix&0xffff == 'n'|'\''<<8
	}
	return smallShapes>>t.Shape&1 != 0
}

// smallShapes has a bit for each shape without capitals.
const smallShapes = 1<<Lower | 1<<Number | 1<<Mark | 1<<Hyphened

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

// A tally counts the bytes of a token by class, 16 bits for each.
type tally uint64

// Classes of bytes.
const (
	marks tally = 1 << (16 * iota)
	lowers
	uppers
	digits
)

func (t tally) of(class tally) int { return int(t / class & 0xffff) }

// folded maps ASCII capitals to small letters and digits to '0'; class tells what a
// byte counts as.
var folded, class = func() (folded [256]byte, class [256]tally) {
	for i := range 256 {
		c := byte(i)
		folded[i] = c
		switch {
		case c >= 'a' && c <= 'z', c >= 0x80:
			class[i] = lowers
		case c >= 'A' && c <= 'Z':
			class[i], folded[i] = uppers, c+32
		case c >= '0' && c <= '9':
			class[i], folded[i] = digits, '0'
		default:
			class[i] = marks
		}
	}
	return
}()

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

func prefix(b []byte) uint32 {
	if len(b) >= 4 {
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	p := uint32(b[0])
	if len(b) > 1 {
		p |= uint32(b[1]) << 8
	}
	if len(b) > 2 {
		p |= uint32(b[2]) << 16
	}
	return p
}

func shape(b []byte, seen tally) Shape {
	n := len(b)
	if seen.of(lowers) == n {
		return Lower
	}
	upper, lower, digit, mark := seen.of(uppers), seen.of(lowers), seen.of(digits), seen.of(marks)
	switch {
	case mark == n:
		return Mark
	case digit > 0 && lower+upper == 0:
		return Number
	case digit > 0:
		return Alphanumeric
	case upper == 0 && mark == 0:
		return Lower
	case upper == 0 && bytes.IndexByte(b, '-') >= 0:
		return Hyphened
	case upper == 1 && class[b[0]] == uppers && (lower > 0 || n == 1):
		return Title
	case lower == 0 && upper > 0:
		return Capitals
	}
	return Mixed
}
