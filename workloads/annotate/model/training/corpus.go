// Package training trains the models of annotation from files and measures how right they are.
package training

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/entity"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
)

// Corpus is a folder of files to train from and to measure with. docs/reference/models.md
// describes their formats. Each file may have .gz behind its name.
type Corpus struct{ Folder string }

// require says which of some files the folder has not.
func (c Corpus) require(names ...string) error {
	var missing []string
	for _, name := range names {
		err := c.with(name, func(io.Reader) error { return nil })
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		} else if err != nil {
			return err
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s has no %s (nor with .gz behind it): docs/reference/models.md says what they hold: %w",
		c.Folder, strings.Join(missing, ", "), fs.ErrNotExist)
}

// with opens the file of a name, or of the name with .gz behind it.
func (c Corpus) with(name string, use func(io.Reader) error) error {
	f, err := os.Open(filepath.Join(c.Folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return c.withCompressed(name, use)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := use(f); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}

func (c Corpus) withCompressed(name string, use func(io.Reader) error) error {
	f, err := os.Open(filepath.Join(c.Folder, name+".gz"))
	if errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "open", Path: filepath.Join(c.Folder, name), Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = use(z)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}

// columns says in which columns of a file, from 0 on, words and labels stand.
type columns struct{ word, label int }

// labelled is a sentence divided into words, each with a label.
type labelled struct{ words, labels []string }

// readLabelled reads sentences: a word a line with its label, columns divided by tabs
// or, where there are none, by blanks; an empty line ends a sentence. Where words do
// not stand first, lines that begin with # are remarks.
func readLabelled(r io.Reader, at columns) ([]labelled, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	var all []labelled
	var s labelled
	for line := 1; in.Scan(); line++ {
		text := strings.TrimRight(in.Text(), "\r\n")
		if strings.TrimSpace(text) == "" {
			if len(s.words) > 0 {
				all, s = append(all, s), labelled{}
			}
			continue
		}
		if at.word > 0 && text[0] == '#' {
			continue
		}
		fields := strings.Split(text, "\t")
		if len(fields) == 1 {
			fields = strings.Fields(text)
		}
		if len(fields) <= max(at.word, at.label) || fields[at.word] == "" {
			return nil, fmt.Errorf("line %d: %q has no column %d", line, text, max(at.word, at.label)+1)
		}
		s.words, s.labels = append(s.words, fields[at.word]), append(s.labels, fields[at.label])
	}
	if len(s.words) > 0 {
		all = append(all, s)
	}
	return all, in.Err()
}

func (c Corpus) labelled(name string, at columns) (all []labelled, err error) {
	err = c.with(name, func(r io.Reader) error {
		all, err = readLabelled(r, at)
		return err
	})
	return all, err
}

// Tagged reads a file of words and Penn tags.
func (c Corpus) Tagged(name string) ([]speech.Sentence, error) {
	all, err := c.labelled(name, columns{0, 1})
	if err != nil {
		return nil, err
	}
	out := make([]speech.Sentence, len(all))
	for i, s := range all {
		out[i].Words = s.words
		for _, l := range s.labels {
			tag, ok := document.ParseTag(l)
			if !ok {
				return nil, fmt.Errorf("%s: there is no tag %q", name, l)
			}
			out[i].Tags = append(out[i].Tags, tag)
		}
	}
	return out, nil
}

// Named reads a file of words and entities (BIO).
func (c Corpus) Named(name string, at columns) ([]entity.Sentence, error) {
	all, err := c.labelled(name, at)
	if err != nil {
		return nil, err
	}
	out := make([]entity.Sentence, len(all))
	for i, s := range all {
		out[i] = entity.Sentence{Words: s.words, Marks: marks(s.labels)}
	}
	return out, nil
}

// marks reads labels of the BIO kinds: one that continues nothing, or an entity of
// another kind, begins one (as in the IOB1 files of CoNLL-2003). Kinds that the
// recogniser does not know are outside.
func marks(labels []string) []document.EntityMark {
	out := make([]document.EntityMark, len(labels))
	for i, l := range labels {
		place, name, _ := strings.Cut(l, "-")
		kind := kindNames[name]
		switch {
		case kind == document.NoEntity:
		case place == "I" && i > 0 && out[i-1].Kind() == kind:
			out[i] = document.Inside(kind)
		default:
			out[i] = document.Begin(kind)
		}
	}
	return out
}

// kindNames are the kinds of Universal NER and CoNLL-2003, and what those of WNUT17
// correspond to. MISC, products and works of art have no counterpart.
var kindNames = map[string]document.EntityKind{
	"PER": document.Person, "ORG": document.Organization, "LOC": document.Location,
	"person": document.Person, "corporation": document.Organization, "group": document.Organization, "location": document.Location,
}

// Review is a text with an attitude.
type Review struct {
	Favourable bool
	Text       string
}

// Reviews reads a file of reviews: label (pos or neg), name, and text, divided by
// tabs; \n, \t and \\ in a text stand for a line break, a tab and a backslash.
func (c Corpus) Reviews(name string) (all []Review, err error) {
	err = c.with(name, func(r io.Reader) error {
		in := bufio.NewScanner(r)
		in.Buffer(nil, 1<<22)
		for line := 1; in.Scan(); line++ {
			fields := strings.SplitN(in.Text(), "\t", 3)
			if len(fields) == 1 && strings.TrimSpace(fields[0]) == "" {
				continue
			}
			if len(fields) != 3 || fields[0] != "pos" && fields[0] != "neg" {
				return fmt.Errorf("line %d: not label, name and text", line)
			}
			all = append(all, Review{fields[0] == "pos", unescape.Replace(fields[2])})
		}
		return in.Err()
	})
	return all, err
}

var unescape = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`)
