// Package model has the trained models of annotation: a tagger of parts of speech, a
// recogniser of entities, a judge of sentiment and word vectors, with the vocabulary
// that they share. All are English. They work on a document's tokens by reference and
// allocate nothing once they have seen a document of its size.
//
// The models that come with the program are in models.bin, made by `starling annotate
// train`; docs/reference/models.md says from what, how right they are, and how the
// file is laid out.
package model

import (
	_ "embed"
	"sync"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/embedding"
	"github.com/starling-vr/starling/workloads/annotate/model/entity"
	"github.com/starling-vr/starling/workloads/annotate/model/sentiment"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

//go:embed models.bin
var embedded []byte

// Models are one set of models, made to work with each other. They may be used by
// many goroutines at a time, each on documents of its own.
//
// Assign comes first, once a document; then Tag, Embed and Sentiment in any order, or
// at the same time; Entities after Tag. Each writes the fields of the document that
// are named after it. On a document in another language than English they write
// nothing and return an UnsupportedLanguageError; one whose language was not
// identified (Language.Code is empty) counts as English.
type Models struct {
	Vocabulary *vocabulary.Vocabulary
	Tagger     *speech.Tagger
	Recognizer *entity.Recognizer
	Classifier *sentiment.Classifier
	Vectors    *embedding.Vectors
}

// Default gives the models that come with the program. They are read on the first call.
func Default() (*Models, error) { return defaults() }

var defaults = sync.OnceValues(func() (*Models, error) { return Open(embedded) })

// UnsupportedLanguageError says that the models do not speak a document's language.
type UnsupportedLanguageError struct{}

func (*UnsupportedLanguageError) Error() string {
	return "unsupported language: the models are English"
}

var unsupported error = &UnsupportedLanguageError{}

func speaks(d *document.Document) error {
	if d.Language.Code != "" && !d.Language.English() {
		return unsupported
	}
	return nil
}

// Assign finds each term in the vocabulary and writes Term.Vocabulary.
func (m *Models) Assign(d *document.Document) { m.Vocabulary.Assign(d) }

// Tag writes Token.Tag in those sentences of the document.
func (m *Models) Tag(d *document.Document, sentences []document.Sentence) error {
	if err := speaks(d); err != nil {
		return err
	}
	m.Tagger.TagSentences(d, sentences)
	return nil
}

// Entities writes Token.Entity in those sentences of the document and appends to its
// Entities.
func (m *Models) Entities(d *document.Document, sentences []document.Sentence) error {
	if err := speaks(d); err != nil {
		return err
	}
	m.Recognizer.RecognizeSentences(d, sentences)
	return nil
}

// Sentiment writes Sentiment.
func (m *Models) Sentiment(d *document.Document) error {
	if err := speaks(d); err != nil {
		return err
	}
	m.Classifier.Classify(d)
	return nil
}

// Embed writes Embedding.
func (m *Models) Embed(d *document.Document) error {
	if err := speaks(d); err != nil {
		return err
	}
	m.Vectors.Embed(d)
	return nil
}

// Rarity is the inverse document frequency of a term in nats, from its rank in the
// text that the word vectors were made from; a word that is not known is as rare as
// can be. The term's number must have been assigned.
func (m *Models) Rarity(t *document.Term) float32 {
	return float32(m.Vocabulary.Words.Rarity[t.Vocabulary]) / 16
}
