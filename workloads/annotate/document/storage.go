package document

import "unsafe"

// Storage is what is found in a document, and the memory that it is written into. One
// that is handed on from document to document stays near the processor, where each
// document's own would have to be fetched from memory.
type Storage struct {
	Segments  []Segment // where Text comes from; none: Text is Source
	Tokens    []Token
	Sentences []Sentence
	Terms     []Term

	Phrases []Phrase
	// Embedding is the document's vector: the model's number of dimensions, of unit
	// length, or empty if no word of the document is known.
	Embedding []float32
	Entities  []Entity
	Topics    []Topic  // best first
	Summary   []uint32 // sentences, in the order of the text

	buffer []byte // what Text is written into when it is not Source
	terms  termTable
}

// reset empties it and keeps the memory.
func (s *Storage) reset() {
	s.Segments, s.buffer = s.Segments[:0], s.buffer[:0]
	s.resetTokens()
}

func (s *Storage) resetTokens() {
	s.Tokens, s.Sentences, s.Terms = s.Tokens[:0], s.Sentences[:0], s.Terms[:0]
	s.Phrases, s.Embedding = s.Phrases[:0], s.Embedding[:0]
	s.Entities, s.Topics, s.Summary = s.Entities[:0], s.Topics[:0], s.Summary[:0]
	s.terms.reset()
}

// Footprint is the number of bytes of memory that it holds.
func (s *Storage) Footprint() int {
	return cap(s.Segments)*int(unsafe.Sizeof(Segment{})) +
		cap(s.Tokens)*int(unsafe.Sizeof(Token{})) +
		cap(s.Sentences)*int(unsafe.Sizeof(Sentence{})) +
		cap(s.Terms)*int(unsafe.Sizeof(Term{})) +
		cap(s.Phrases)*int(unsafe.Sizeof(Phrase{})) +
		cap(s.Embedding)*4 +
		cap(s.Entities)*int(unsafe.Sizeof(Entity{})) +
		cap(s.Topics)*int(unsafe.Sizeof(Topic{})) +
		cap(s.Summary)*4 + cap(s.buffer) + cap(s.terms.slots)*8
}
