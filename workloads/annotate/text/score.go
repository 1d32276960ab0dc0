package text

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// Scores compares what Tokenise makes of a text with what people made of it. A token
// or a sentence is right if both its ends are.
type Scores struct {
	Tokens    F1
	Sentences F1
}

// F1 counts spans that were found, that were to be found, and that are both.
type F1 struct{ Right, Found, Wanted int }

// Value is the harmonic mean of precision and recall, 0 to 1.
func (f F1) Value() float64 {
	if f.Found+f.Wanted == 0 {
		return 0
	}
	return 2 * float64(f.Right) / float64(f.Found+f.Wanted)
}

// Missed is one difference: what was wanted there, and what was found.
type Missed struct{ Wanted, Found string }

// Score reads a treebank in CoNLL-U (universaldependencies.org/format.html), puts its
// texts together again (SpaceAfter=No in the last column, "# newpar" and "# newdoc"
// for blank lines), tokenises them, and compares. Each difference in tokens goes to
// missed, unless that is nil.
func Score(r io.Reader, missed func(Missed)) (Scores, error) {
	var s scorer
	s.missed = missed
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	skip := 0 // words of a multi-word token are not tokens of the text
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "# newdoc"):
			s.finish()
		case strings.HasPrefix(line, "# newpar"):
			s.paragraph()
		case line == "":
			s.sentence()
		case line[0] == '#':
		default:
			fields := strings.Split(line, "\t")
			if len(fields) != 10 {
				return s.scores, fmt.Errorf("line %d has %d columns, not the 10 of CoNLL-U", number, len(fields))
			}
			if from, to, ok := strings.Cut(fields[0], "-"); ok {
				var a, b int
				if _, err := fmt.Sscan(from+" "+to, &a, &b); err != nil {
					return s.scores, fmt.Errorf("line %d: range of words %q: %w", number, fields[0], err)
				}
				skip = b - a + 1
				s.divided(fields[1])
				s.glue(fields[9])
				continue
			}
			if strings.Contains(fields[0], ".") {
				continue
			}
			if skip > 0 {
				skip--
				s.part(fields[1])
				continue
			}
			s.token(fields[1])
			s.glue(fields[9])
		}
	}
	s.finish()
	return s.scores, lines.Err()
}

type scorer struct {
	scores    Scores
	missed    func(Missed)
	text      []byte
	tokens    map[document.Range]bool
	sentences map[document.Range]bool
	begun     int    // where the sentence under way begins
	rest      string // of a multi-word token, what its parts have not covered
	at        int
	d         document.Document
}

func (s *scorer) span(set *map[document.Range]bool, from, to int) {
	if *set == nil {
		*set = map[document.Range]bool{}
	}
	(*set)[document.Range{Start: uint32(from), End: uint32(to)}] = true
}

func (s *scorer) token(form string) {
	at := len(s.text)
	s.text = append(s.text, form...)
	s.span(&s.tokens, at, len(s.text))
}

// divided notes a multi-word token, whose parts follow.
func (s *scorer) divided(form string) {
	s.at, s.rest = len(s.text), form
	s.text = append(s.text, form...)
}

// part is a word of a multi-word token; English ones are pieces of its spelling.
func (s *scorer) part(form string) {
	if len(form) > len(s.rest) || !strings.EqualFold(s.rest[:len(form)], form) {
		form = s.rest
	}
	if form == "" {
		return
	}
	s.span(&s.tokens, s.at, s.at+len(form))
	s.at, s.rest = s.at+len(form), s.rest[len(form):]
}

func (s *scorer) glue(misc string) {
	if !strings.Contains(misc, "SpaceAfter=No") {
		s.text = append(s.text, ' ')
	}
}

func (s *scorer) end() int {
	n := len(s.text)
	for n > 0 && s.text[n-1] <= ' ' {
		n--
	}
	return n
}

func (s *scorer) sentence() {
	if n := s.end(); n > s.begun {
		s.span(&s.sentences, s.begun, n)
		s.begun = len(s.text)
	}
}

func (s *scorer) paragraph() {
	if len(s.text) > 0 {
		s.text = append(s.text[:s.end()], "\n\n"...)
		s.begun = len(s.text)
	}
}

func (s *scorer) finish() {
	s.sentence()
	s.d.Reset()
	s.d.Source = s.text
	s.d.SetText(s.text)
	Tokenise(&s.d)
	found := map[document.Range]bool{}
	for _, t := range s.d.Tokens {
		found[document.Range{Start: t.Start, End: t.End}] = true
	}
	s.count(&s.scores.Tokens, found, s.tokens)
	s.differences(found)
	clear(found)
	for _, x := range s.d.Sentences {
		found[document.Range{Start: s.d.Tokens[x.Start].Start, End: s.d.Tokens[x.End-1].End}] = true
	}
	s.count(&s.scores.Sentences, found, s.sentences)
	s.text, s.begun = s.text[:0], 0
	clear(s.tokens)
	clear(s.sentences)
}

func (s *scorer) count(f *F1, found, wanted map[document.Range]bool) {
	f.Found += len(found)
	f.Wanted += len(wanted)
	for r := range wanted {
		if found[r] {
			f.Right++
		}
	}
}

func (s *scorer) differences(found map[document.Range]bool) {
	if s.missed == nil {
		return
	}
	for r := range s.tokens {
		if !found[r] {
			var parts []string
			for _, t := range s.d.Tokens {
				if t.Start < r.End && t.End > r.Start {
					parts = append(parts, string(s.text[t.Start:t.End]))
				}
			}
			s.missed(Missed{Wanted: string(s.text[r.Start:r.End]), Found: strings.Join(parts, " ")})
		}
	}
}
