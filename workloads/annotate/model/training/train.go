package training

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model"
	"github.com/starling-vr/starling/workloads/annotate/model/entity"
	"github.com/starling-vr/starling/workloads/annotate/model/sentiment"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
	"github.com/starling-vr/starling/workloads/annotate/text"
)

// Options of training.
type Options struct {
	// Seed makes training repeatable: the same seed and files give the same models.
	Seed uint64
	// HoldOut leaves the development files out of training, so that choices can be
	// judged by them.
	HoldOut bool
	// Progress is told what is done next. It may be nil.
	Progress func(step string)
}

// What the models are trained with; chosen by the development files.
const (
	listedWords    = 120_000
	speechBits     = 16
	speechRounds   = 6
	entityBits     = 17
	sentimentBits  = 20
	reviewsName    = "movie_reviews.tsv"
	taggedTrain    = "ewt-train.tsv"
	taggedDev      = "ewt-dev.tsv"
	taggedTest     = "ewt-test.tsv"
	namedTrain     = "uner-train.iob2"
	namedDev       = "uner-dev.tsv"
	namedTest      = "uner-test.tsv"
	namedWikipedia = "wikigold.conll"
	vectorsName    = "vectors.txt"
)

// plain are the columns of most files; numbered of those whose lines begin with the
// word's number.
var plain, numberedLines = columns{0, 1}, columns{1, 2}

// Train trains all models from the files of a corpus.
func Train(ctx context.Context, c Corpus, o Options) (*model.Weights, error) {
	t := &training{ctx: ctx, corpus: c, options: o}
	if err := t.read(); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"vocabulary and vectors", t.trainVocabulary},
		{"parts of speech", t.trainSpeech},
		{"tags of the text with entities", t.tagNamed},
		{"entities", t.trainEntities},
		{"sentiment", t.trainSentiment},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.tell(s.name)
		if err := s.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return &t.weights, nil
}

type training struct {
	ctx     context.Context
	corpus  Corpus
	options Options
	tagged  []speech.Sentence
	named   []entity.Sentence
	vectors *Vectors
	weights model.Weights
	words   *vocabulary.Vocabulary
}

func (t *training) tell(step string) {
	if t.options.Progress != nil {
		t.options.Progress(step)
	}
}

// random gives each part a stream of its own.
func (t *training) random(part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(t.options.Seed, part))
}

func (t *training) read() (err error) {
	required := []string{vectorsName, taggedTrain, namedWikipedia, reviewsName}
	if !t.options.HoldOut {
		required = append(required, taggedDev, namedDev)
	}
	if err := t.corpus.require(required...); err != nil {
		return err
	}
	t.tell("reading " + t.corpus.Folder)
	if t.vectors, err = t.corpus.Vectors(vectorsName, listedWords); err != nil {
		return err
	}
	if t.tagged, err = t.corpus.Tagged(taggedTrain); err != nil {
		return err
	}
	if err := t.readNamed(); err != nil {
		return err
	}
	if t.options.HoldOut {
		return nil
	}
	tagged, err := t.corpus.Tagged(taggedDev)
	t.tagged = append(t.tagged, tagged...)
	return err
}

// readNamed reads the text with entities. The training part of Universal NER may be
// missing: the rest will do, less well.
func (t *training) readNamed() error {
	files := []struct {
		name     string
		at       columns
		optional bool
	}{{namedTrain, numberedLines, true}, {namedWikipedia, plain, false}, {namedDev, plain, false}}
	if t.options.HoldOut {
		files = files[:2]
	}
	for _, f := range files {
		named, err := t.corpus.Named(f.name, f.at)
		if f.optional && errors.Is(err, fs.ErrNotExist) {
			t.tell("without " + f.name)
			continue
		}
		if err != nil {
			return err
		}
		t.named = append(t.named, named...)
	}
	return nil
}

func (t *training) trainVocabulary() (err error) {
	n := number(t.vectors, t.tagged, t.named, t.random(1))
	t.weights.Words = n.Words
	t.weights.Vectors = vectorsOf(n, t.vectors)
	t.words, err = vocabulary.New(n.Words)
	return err
}

func (t *training) tagger(sentences []speech.Sentence, part uint64) []int8 {
	return speech.Train(t.words, sentences, speech.Options{Bits: speechBits, Rounds: speechRounds, Random: t.random(part)})
}

func (t *training) trainSpeech() error {
	t.weights.Speech = t.tagger(t.tagged, 2)
	return nil
}

// tagNamed tags the text with entities as it will be tagged later, with mistakes: most
// of it is text that the tagger has learned from, so that each half of it is tagged by
// a tagger that learned from the other half alone.
func (t *training) tagNamed() error {
	var halves [2][]speech.Sentence
	half := map[string]int{}
	for i, s := range t.tagged {
		halves[i%2] = append(halves[i%2], s)
		half[fmt.Sprint(s.Words)] = i % 2
	}
	var taggers [2]*speech.Tagger
	for i := range halves {
		var err error
		if taggers[i], err = speech.New(t.words, t.tagger(halves[i], 3+uint64(i))); err != nil {
			return err
		}
	}
	var d document.Document
	for i := range t.named {
		s := &t.named[i]
		d.Reset()
		d.AppendWords(s.Words)
		t.words.Assign(&d)
		taggers[1-half[fmt.Sprint(s.Words)]].Tag(&d)
		s.Tags = s.Tags[:0]
		for k := range d.Tokens {
			s.Tags = append(s.Tags, d.Tokens[k].Tag)
		}
	}
	return nil
}

func (t *training) trainEntities() error {
	t.weights.Entity = entity.Train(t.words, t.named, entity.Options{
		Bits: entityBits, Rounds: 6, Rate: 0.1, Decay: 1e-3, Dropout: 0.4, Boldness: 0.5, Random: t.random(5),
	})
	return nil
}

func (t *training) trainSentiment() error {
	reviews, err := t.corpus.Reviews(reviewsName)
	if err != nil {
		return err
	}
	t.weights.Sentiment = sentiment.Train(examples(reviews), sentimentOptions(t.random(6)))
	return nil
}

func sentimentOptions(random *rand.Rand) sentiment.Options {
	return sentiment.Options{Bits: sentimentBits, Rounds: 10, Smoothing: 1, Rate: 3, Decay: 1e-5, Trust: 1, Random: random}
}

func examples(reviews []Review) []sentiment.Example {
	out := make([]sentiment.Example, len(reviews))
	var d document.Document
	for i, r := range reviews {
		tokenised(&d, r.Text)
		out[i] = sentiment.NewExample(&d, r.Favourable, sentimentBits)
	}
	return out
}

func tokenised(d *document.Document, s string) {
	d.Reset()
	d.Source = []byte(s)
	text.Clean(d)
	text.Tokenise(d)
}
