package training

import (
	"slices"
	"time"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
)

// Speed is the time that each function takes, in microseconds per document of
// documentWords words, on one core: the median over several passes through the
// documents, which are distinct.
type Speed struct {
	Vocabulary float64 `json:"vocabulary_us"`
	Speech     float64 `json:"speech_us"`
	Entities   float64 `json:"entities_us"`
	Sentiment  float64 `json:"sentiment_us"`
	Embedding  float64 `json:"embedding_us"`
	All        float64 `json:"all_us"`
}

const (
	documentWords = 300
	passes        = 21
)

// Time measures models with the text of the tagged test file, cut into documents.
func Time(c Corpus, m *model.Models) (Speed, error) {
	sentences, err := c.Tagged(taggedTest)
	if err != nil {
		return Speed{}, err
	}
	documents := cut(sentences)
	var times [5][]float64
	var all []float64
	for range passes {
		sum := 0.0
		for i, do := range []func(*document.Document){m.Assign, m.Tagger.Tag, m.Recognizer.Recognize, m.Classifier.Classify, m.Vectors.Embed} {
			us := pass(documents, do)
			times[i] = append(times[i], us)
			sum += us
		}
		all = append(all, sum)
	}
	return Speed{median(times[0]), median(times[1]), median(times[2]), median(times[3]), median(times[4]), median(all)}, nil
}

// cut makes documents of whole sentences, of documentWords words or a few more.
func cut(sentences []speech.Sentence) []*document.Document {
	var out []*document.Document
	d := &document.Document{}
	for _, s := range sentences {
		d.AppendWords(s.Words)
		if len(d.Tokens) >= documentWords {
			out, d = append(out, d), &document.Document{}
		}
	}
	return append(out, d)
}

// pass gives the microseconds that do takes for documentWords words.
func pass(documents []*document.Document, do func(*document.Document)) float64 {
	words := 0
	began := time.Now()
	for _, d := range documents {
		do(d)
		words += len(d.Tokens)
	}
	return float64(time.Since(began).Nanoseconds()) / 1e3 * documentWords / float64(words)
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
