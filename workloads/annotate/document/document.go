package document

import "unsafe"

// Format says how Source is written.
type Format uint8

// Formats of a document.
const (
	Plain Format = iota
	HTML
)

// Sentence is a run of tokens: those from Start on, up to but without End.
type Sentence struct {
	Start, End uint32
	// Paragraph says that a paragraph begins here.
	Paragraph bool
}

// Phrase is a keyphrase: the tokens of its first mention, its number of mentions,
// and its score (larger is more telling; only comparable within one document).
type Phrase struct {
	Start, End uint32
	Count      uint32
	Score      float32
}

// Entity is a mention of something that has a name.
type Entity struct {
	Start, End uint32 // tokens
	Kind       EntityKind
	Score      float32 // confidence, 0 to 1; 0 where the model gives none
	// ID names the thing in the knowledge base, 0 if it was not linked. The same
	// thing has the same ID in all documents that a knowledge base has seen.
	ID uint64
	// Seen counts the earlier documents that mention it.
	Seen uint32
}

// EntityKind is a kind of entity.
type EntityKind uint8

// Kinds of entities, as in Universal NER, with the fourth of CoNLL-2003.
const (
	NoEntity EntityKind = iota
	Person
	Organization
	Location
	Miscellaneous
)

// String gives the kind's short name: PER, ORG, LOC, MISC; O for none.
func (k EntityKind) String() string {
	if int(k) < len(entityKinds) {
		return entityKinds[k]
	}
	return "O"
}

var entityKinds = [...]string{"O", "PER", "ORG", "LOC", "MISC"}

// Topic is a topic that a document is about, as its user named it.
type Topic struct {
	Name  string
	Score float32 // cosine, -1 to 1
}

// Sentiment is the attitude of a text.
type Sentiment struct {
	Known bool
	// Score is the probability of a favourable attitude minus that of an
	// unfavourable one, -1 to 1.
	Score float32
}

// Language is what a text is written in.
type Language struct {
	// Code is of ISO 639-1 ("en"), or "und" where nothing can be said.
	Code string
	// Confidence is 0 to 1.
	Confidence float32
}

// English says whether the models, which are English, apply.
func (l Language) English() bool { return l.Code == "en" }

// Document is one document on its way through a workflow. The zero value is ready.
// A Document belongs to one workflow at a time.
type Document struct {
	ID     string
	Format Format
	Source []byte
	Text   []byte
	Title  Range // of Text; empty if there is none

	Language  Language
	Sentiment Sentiment
	Storage
}

// Range is a half-open range of bytes.
type Range struct{ Start, End uint32 }

// Reset empties the document and keeps its storage. Source must not be used through
// the document afterwards.
func (d *Document) Reset() {
	d.ID, d.Format, d.Source, d.Text, d.Title = "", Plain, nil, nil, Range{}
	d.Language, d.Sentiment = Language{}, Sentiment{}
	d.Storage.reset()
}

// ResetTokens forgets tokens and everything made from them, and keeps the text.
func (d *Document) ResetTokens() {
	d.Language, d.Sentiment = Language{}, Sentiment{}
	d.resetTokens()
}

// Buffer gives the storage for a text that is not Source, empty. SetText keeps it.
func (d *Document) Buffer() []byte { return d.buffer[:0] }

// SetText makes text the document's text; Segments say where it comes from. It is
// to be Buffer, appended to, or Source.
func (d *Document) SetText(text []byte) {
	d.Text = text
	if unsafe.SliceData(text) != unsafe.SliceData(d.Source) {
		d.buffer = text
	}
}

// Bytes gives the text of tokens start to end (without end), which must not be empty.
func (d *Document) Bytes(start, end uint32) []byte {
	return d.Text[d.Tokens[start].Start:d.Tokens[end-1].End]
}

// TokenBytes gives the text of token i.
func (d *Document) TokenBytes(i int) []byte {
	t := &d.Tokens[i]
	return d.Text[t.Start:t.End]
}

// SentenceTokens gives the tokens of sentence i.
func (d *Document) SentenceTokens(i int) []Token {
	s := d.Sentences[i]
	return d.Tokens[s.Start:s.End]
}
