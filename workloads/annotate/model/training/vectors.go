package training

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// Vectors are word vectors, the most frequent word first.
type Vectors struct {
	Words      []string
	Dimensions int
	Values     []float32 // Dimensions a word
}

// Vector gives the vector of word i.
func (v *Vectors) Vector(i int) []float32 {
	return v.Values[i*v.Dimensions : (i+1)*v.Dimensions]
}

// Vectors reads the first limit vectors of a file.
func (c Corpus) Vectors(name string, limit int) (v *Vectors, err error) {
	err = c.with(name, func(r io.Reader) error {
		v, err = readVectors(r, limit)
		return err
	})
	return v, err
}

// readVectors reads at most limit words of GloVe's text format: a word a line, and
// its vector, divided by blanks.
func readVectors(r io.Reader, limit int) (*Vectors, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	v := &Vectors{}
	for line := 1; len(v.Words) < limit && in.Scan(); line++ {
		fields := bytes.Fields(in.Bytes())
		if len(fields) == 0 {
			continue
		}
		if v.Dimensions == 0 {
			v.Dimensions = len(fields) - 1
		}
		if len(fields)-1 != v.Dimensions || v.Dimensions == 0 {
			return nil, fmt.Errorf("line %d: %d dimensions, not %d", line, len(fields)-1, v.Dimensions)
		}
		v.Words = append(v.Words, string(fields[0]))
		for _, f := range fields[1:] {
			x, err := strconv.ParseFloat(string(f), 32)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			v.Values = append(v.Values, float32(x))
		}
	}
	return v, in.Err()
}
