package training

import (
	"context"
	"strings"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model"
	"github.com/starling-vr/starling/workloads/annotate/model/entity"
	"github.com/starling-vr/starling/workloads/annotate/model/sentiment"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
	"github.com/starling-vr/starling/workloads/annotate/text"
)

// Share counts what is right of what there is.
type Share struct {
	Right int `json:"right"`
	Of    int `json:"of"`
}

// Value is the share, 0 to 1.
func (s Share) Value() float64 {
	if s.Of == 0 {
		return 0
	}
	return float64(s.Right) / float64(s.Of)
}

// Spans counts spans that were found, that were to be found, and that are both: both
// ends and the kind.
type Spans struct {
	Right  int `json:"right"`
	Found  int `json:"found"`
	Wanted int `json:"wanted"`
}

// Precision is the share of what was found that was to be found.
func (s Spans) Precision() float64 { return Share{s.Right, s.Found}.Value() }

// Recall is the share of what was to be found that was.
func (s Spans) Recall() float64 { return Share{s.Right, s.Wanted}.Value() }

// F1 is the harmonic mean of precision and recall.
func (s Spans) F1() float64 { return Share{2 * s.Right, s.Found + s.Wanted}.Value() }

// Scores say how right models are.
type Scores struct {
	// Tags of words as the file divides them, and of those among them that the
	// training text had fewer than three times.
	Tags     Share `json:"tags"`
	RareTags Share `json:"rare_tags"`
	// RawTags are the tags of the words that the tokeniser finds in the same text, its
	// words put together with blanks between them; a word that was divided otherwise
	// is wrong.
	RawTags Share `json:"raw_tags"`
	// Entities by kind (PER, ORG, LOC), all together, and in raw text.
	Entities    map[string]Spans `json:"entities"`
	AllEntities Spans            `json:"all_entities"`
	RawEntities Spans            `json:"raw_entities"`
	// Sentiment of reviews, each tenth judged by a model trained on the other nine.
	Sentiment Share `json:"sentiment"`
}

// Evaluate measures models with the test files of a corpus, or with its development
// files. Sentiment is always measured by ten folds, in the order of the file: it
// measures the method, not these models.
func Evaluate(ctx context.Context, c Corpus, m *model.Models, development bool, o Options) (Scores, error) {
	tagged, named := taggedTest, namedTest
	if development {
		tagged, named = taggedDev, namedDev
	}
	s := Scores{Entities: map[string]Spans{}}
	sentences, err := c.Tagged(tagged)
	if err != nil {
		return s, err
	}
	s.tags(m, sentences)
	names, err := c.Named(named, plain)
	if err != nil {
		return s, err
	}
	s.entities(m, names)
	if err := ctx.Err(); err != nil {
		return s, err
	}
	reviews, err := c.Reviews(reviewsName)
	if err != nil {
		return s, err
	}
	s.Sentiment, err = tenFolds(ctx, reviews, o)
	return s, err
}

// divided makes a sentence of the file a document, as the file divides it.
func divided(d *document.Document, m *model.Models, words []string) {
	d.Reset()
	d.AppendWords(words)
	m.Assign(d)
	m.Tagger.Tag(d)
}

// raw makes the text of a sentence a document that the tokeniser divides.
func raw(d *document.Document, m *model.Models, words []string) {
	d.Reset()
	d.Source = []byte(strings.Join(words, " "))
	d.SetText(d.Source)
	text.Tokenise(d)
	m.Assign(d)
	m.Tagger.Tag(d)
}

func (s *Scores) tags(m *model.Models, sentences []speech.Sentence) {
	var d document.Document
	for _, sentence := range sentences {
		divided(&d, m, sentence.Words)
		right := map[document.Range]document.Tag{}
		for i, want := range sentence.Tags {
			t := &d.Tokens[i]
			right[document.Range{Start: t.Start, End: t.End}] = want
			s.Tags.count(t.Tag == want)
			if m.Vocabulary.Class[d.Terms[t.Term].Vocabulary] == 0 {
				s.RareTags.count(t.Tag == want)
			}
		}
		raw(&d, m, sentence.Words)
		s.RawTags.Of += len(sentence.Words)
		for i := range d.Tokens {
			t := &d.Tokens[i]
			if right[document.Range{Start: t.Start, End: t.End}] == t.Tag {
				s.RawTags.Right++
			}
		}
	}
}

func (s *Share) count(right bool) {
	s.Of++
	if right {
		s.Right++
	}
}

// span is a mention, by bytes.
type span struct {
	start, end uint32
	kind       document.EntityKind
}

func (s *Scores) entities(m *model.Models, sentences []entity.Sentence) {
	var d document.Document
	for _, sentence := range sentences {
		divided(&d, m, sentence.Words)
		wanted := mentions(&d, sentence.Marks)
		m.Recognizer.Recognize(&d)
		for k := document.Person; k <= document.Location; k++ {
			part := s.Entities[k.String()]
			part.count(&d, wanted, func(e span) bool { return e.kind == k })
			s.Entities[k.String()] = part
		}
		s.AllEntities.count(&d, wanted, func(span) bool { return true })
		raw(&d, m, sentence.Words)
		m.Recognizer.Recognize(&d)
		s.RawEntities.count(&d, wanted, func(span) bool { return true })
	}
}

func mentions(d *document.Document, marks []document.EntityMark) map[span]bool {
	out := map[span]bool{}
	for start := 0; start < len(marks); {
		end := start + 1
		if k := marks[start].Kind(); k != document.NoEntity {
			for end < len(marks) && marks[end] == document.Inside(k) {
				end++
			}
			out[span{d.Tokens[start].Start, d.Tokens[end-1].End, k}] = true
		}
		start = end
	}
	return out
}

func (s *Spans) count(d *document.Document, wanted map[span]bool, counts func(span) bool) {
	for _, e := range d.Entities {
		found := span{d.Tokens[e.Start].Start, d.Tokens[e.End-1].End, e.Kind}
		if !counts(found) {
			continue
		}
		s.Found++
		if wanted[found] {
			s.Right++
		}
	}
	for w := range wanted {
		if counts(w) {
			s.Wanted++
		}
	}
}

// folds is the number of parts that reviews are divided into: in the order of the
// file, as its authors did, each class by itself.
const folds = 10

func tenFolds(ctx context.Context, reviews []Review, o Options) (Share, error) {
	var share Share
	all := examples(reviews)
	fold := foldsOf(reviews)
	t := training{options: o}
	var d document.Document
	for f := range folds {
		if err := ctx.Err(); err != nil {
			return share, err
		}
		var learn []sentiment.Example
		for i := range all {
			if fold[i] != f {
				learn = append(learn, all[i])
			}
		}
		c, err := sentiment.New(sentiment.Train(learn, sentimentOptions(t.random(100+uint64(f)))))
		if err != nil {
			return share, err
		}
		for i, r := range reviews {
			if fold[i] == f {
				tokenised(&d, r.Text)
				c.Classify(&d)
				share.count(d.Sentiment.Score > 0 == r.Favourable)
			}
		}
	}
	return share, nil
}

// foldsOf gives the fold of each review: tenths of each class in the file's order.
func foldsOf(reviews []Review) []int {
	var size, seen [2]int
	side := func(r Review) int {
		if r.Favourable {
			return 1
		}
		return 0
	}
	for _, r := range reviews {
		size[side(r)]++
	}
	out := make([]int, len(reviews))
	for i, r := range reviews {
		k := side(r)
		out[i] = seen[k] * folds / size[k]
		seen[k]++
	}
	return out
}
