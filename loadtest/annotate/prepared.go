package annotate

// prepared are documents of a connection that were made before the run, so that making
// them takes no processor from the server when they are due.
type prepared struct {
	text        []byte
	ends        []int // in text
	first, step int   // numbers are first, first+step, ...
	// encode appends a document in the form in which it is sent.
	encode func(dst []byte, number int) []byte
}

// mostPrepared bounds what is held for all connections, in bytes; documents beyond it
// are made when they are due.
const mostPrepared = 256 << 20

// prepare makes the documents of one of so many connections that take turns.
func prepare(s *Spec, connection, connections int, encode func([]byte, int) []byte) prepared {
	p := prepared{first: connection, step: connections, encode: encode}
	for number := connection; number < s.documents && len(p.text) < mostPrepared/connections; number += connections {
		p.text = encode(p.text, number)
		p.ends = append(p.ends, len(p.text))
	}
	return p
}

// append appends document number to dst.
func (p *prepared) append(dst []byte, number int) []byte {
	i := (number - p.first) / p.step
	if i >= len(p.ends) {
		return p.encode(dst, number)
	}
	from := 0
	if i > 0 {
		from = p.ends[i-1]
	}
	return append(dst, p.text[from:p.ends[i]]...)
}
