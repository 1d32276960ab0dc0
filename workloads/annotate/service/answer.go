package service

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// include says which of the bulky parts an answer has.
type include struct{ tokens, embedding bool }

// appendAnswer writes the answer for a document that came to its end: what its
// workflow found, and what became of the functions that did not run.
func (f *flow) appendAnswer(b []byte, j *pipeline.Job, in include, p *Problem) []byte {
	b = appendHead(b, j.ID, f.Name)
	if f.ran(j, f.language) {
		b = append(b, `,"language":{"code":`...)
		b = appendString(b, j.Language.Code)
		b = append(b, `,"confidence":`...)
		b = appendFloat(b, j.Language.Confidence)
		b = append(b, '}')
	}
	if f.ran(j, f.tokens) {
		if in.tokens {
			b = appendTokens(b, &j.Document)
		}
		b = appendSentences(b, &j.Document)
	}
	if f.ran(j, f.keyphrases) {
		b = appendPhrases(b, &j.Document)
	}
	if f.ran(j, f.entities) {
		b = appendEntities(b, &j.Document)
	}
	if f.ran(j, f.topics) {
		b = appendTopics(b, j.Topics)
	}
	if f.ran(j, f.sentiment) && j.Sentiment.Known {
		b = append(b, `,"sentiment":{"score":`...)
		b = appendFloat(b, j.Sentiment.Score)
		b = append(b, '}')
	}
	if in.embedding && f.ran(j, f.embedding) {
		b = appendEmbedding(b, j.Embedding)
	}
	if f.ran(j, f.summary) {
		b = appendSummary(b, &j.Document)
	}
	b = f.appendFunctions(b, j)
	return appendTail(b, j.Run.Late(), j.Run.Ended().Sub(j.Run.Arrived).Microseconds(), p)
}

// appendRefusal writes the answer for a document that was not annotated.
func appendRefusal(b []byte, id, flow string, line int, p *Problem) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, id)
	if flow != "" {
		b = append(b, `,"workflow":`...)
		b = appendString(b, flow)
	}
	if line > 0 {
		b = append(b, `,"line":`...)
		b = strconv.AppendInt(b, int64(line), 10)
	}
	b = append(b, `,"error":`...)
	b = p.append(b)
	return append(b, "}\n"...)
}

func appendHead(b []byte, id, flow string) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, id)
	b = append(b, `,"workflow":`...)
	return appendString(b, flow)
}

func appendTail(b []byte, late bool, took int64, p *Problem) []byte {
	b = append(b, `,"late":`...)
	b = strconv.AppendBool(b, late)
	b = append(b, `,"took_us":`...)
	b = strconv.AppendInt(b, max(took, 0), 10)
	if p != nil {
		b = append(b, `,"error":`...)
		b = p.append(b)
	}
	return append(b, "}\n"...)
}

// appendRange opens an object with the origin of tokens start to end.
func appendRange(b []byte, d *document.Document, start, end uint32) []byte {
	from, to := d.Origin(d.Tokens[start].Start, d.Tokens[end-1].End)
	return appendOffsets(b, from, to)
}

func appendOffsets(b []byte, from, to uint32) []byte {
	b = append(b, `{"start":`...)
	b = strconv.AppendUint(b, uint64(from), 10)
	b = append(b, `,"end":`...)
	return strconv.AppendUint(b, uint64(to), 10)
}

func appendTokens(b []byte, d *document.Document) []byte {
	b = append(b, `,"tokens":[`...)
	for i := range d.Tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRange(b, d, uint32(i), uint32(i)+1)
		if tag := d.Tokens[i].Tag; tag != document.NoTag {
			b = append(b, `,"tag":"`...)
			b = append(b, tag.String()...) // none needs escaping
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendSentences(b []byte, d *document.Document) []byte {
	b = append(b, `,"sentences":[`...)
	for i, s := range d.Sentences {
		b = appendSentence(b, d, i, s)
	}
	return append(b, ']')
}

func appendSummary(b []byte, d *document.Document) []byte {
	b = append(b, `,"summary":[`...)
	for i, s := range d.Summary {
		b = appendSentence(b, d, i, d.Sentences[s])
	}
	return append(b, ']')
}

func appendSentence(b []byte, d *document.Document, i int, s document.Sentence) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = appendRange(b, d, s.Start, s.End)
	return append(b, '}')
}

func appendPhrases(b []byte, d *document.Document) []byte {
	b = append(b, `,"keyphrases":[`...)
	for i := range d.Phrases {
		p := &d.Phrases[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRange(b, d, p.Start, p.End)
		b = append(b, `,"text":`...)
		b = appendString(b, view(d.Bytes(p.Start, p.End)))
		b = append(b, `,"score":`...)
		b = appendFloat(b, p.Score)
		b = append(b, `,"count":`...)
		b = strconv.AppendUint(b, uint64(p.Count), 10)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendEntities(b []byte, d *document.Document) []byte {
	b = append(b, `,"entities":[`...)
	for i := range d.Entities {
		e := &d.Entities[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRange(b, d, e.Start, e.End)
		b = append(b, `,"text":`...)
		b = appendString(b, view(d.Bytes(e.Start, e.End)))
		b = append(b, `,"kind":"`...)
		b = append(b, e.Kind.String()...)
		b = append(b, '"')
		if e.Score != 0 { // else the model gives none
			b = append(b, `,"score":`...)
			b = appendFloat(b, e.Score)
		}
		if e.ID != 0 {
			b = append(b, `,"entity":"`...)
			b = appendHex(b, e.ID)
			b = append(b, `","seen":`...)
			b = strconv.AppendUint(b, uint64(e.Seen), 10)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendTopics(b []byte, topics []document.Topic) []byte {
	b = append(b, `,"topics":[`...)
	for i := range topics {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"topic":`...)
		b = appendString(b, topics[i].Name)
		b = append(b, `,"score":`...)
		b = appendFloat(b, topics[i].Score)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendEmbedding(b []byte, v []float32) []byte {
	b = append(b, `,"embedding":[`...)
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', 5, 32)
	}
	return append(b, ']')
}

// appendFunctions names the functions that did not run to their end.
func (f *flow) appendFunctions(b []byte, j *pipeline.Job) []byte {
	open := false
	for i, name := range f.steps {
		said := outcome(j, i)
		if said == "" {
			continue
		}
		if open {
			b = append(b, ',')
		} else {
			b = append(b, `,"functions":{`...)
			open = true
		}
		b = appendString(b, name)
		b = append(b, `:"`...)
		b = append(b, said...)
		b = append(b, '"')
	}
	if open {
		b = append(b, '}')
	}
	return b
}

// outcome is the API's word for what became of a step, "" if it ran.
func outcome(j *pipeline.Job, i int) string {
	switch o := j.Run.Outcome(i); o {
	case workflow.Ran:
		return ""
	case workflow.Errored:
		if failed := j.Run.FunctionError(i); failed != nil {
			return failed.Cause.String()
		}
		return "failed"
	default:
		return o.String()
	}
}

const hexDigits = "0123456789abcdef"

// appendHex writes 16 digits.
func appendHex(b []byte, x uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[x>>shift&15])
	}
	return b
}

// appendFloat writes a number with three decimals at most.
func appendFloat(b []byte, x float32) []byte {
	n := int64(math.Round(float64(x) * 1000))
	if !(x > -1e12 && x < 1e12) {
		n = 0 // not a number, or no score
	}
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/1000, 10)
	if n %= 1000; n == 0 {
		return b
	}
	b = append(b, '.', byte('0'+n/100))
	if n %= 100; n == 0 {
		return b
	}
	b = append(b, byte('0'+n/10))
	if n %= 10; n == 0 {
		return b
	}
	return append(b, byte('0'+n))
}

// plainBytes need no escape in a JSON string.
var plainBytes = func() (table [256]bool) {
	for c := 32; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\' && c != 0x7f
	}
	return
}()

// appendString writes a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		if plainBytes[s[i]] {
			i++
			continue
		}
		if s[i] >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
