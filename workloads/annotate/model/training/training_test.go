package training

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model"
)

// small is a corpus with files of all kinds, each small.
func small(t testing.TB) Corpus {
	t.Helper()
	c := Corpus{Folder: t.TempDir()}
	tagged := "The\tDT\tDET\ndog\tNN\tNOUN\nbarks\tVBZ\tVERB\n.\t.\tPUNCT\n\nJane\tNNP\tPROPN\nsaw\tVBD\tVERB\nOslo\tNNP\tPROPN\n\n"
	named := "Jane\tB-PER\nsaw\tO\nOslo\tB-LOC\n\nThe\tO\ndog\tO\nbarks\tO\n.\tO\n\n"
	var vectors, reviews strings.Builder
	for i, w := range []string{"the", ".", "dog", "barks", "jane", "oslo", "saw"} {
		fmt.Fprintf(&vectors, "%s %d %d %d\n", w, i+1, i*i%5, 1-i%3)
	}
	for i := range 20 {
		fmt.Fprintf(&reviews, "pos\tp%d\ta lovely film\\nlovely !\nneg\tn%d\ta dull film , dull\n", i, i)
	}
	for name, text := range map[string]string{
		"ewt-train.tsv": strings.Repeat(tagged, 5), "ewt-dev.tsv": tagged, "ewt-test.tsv": tagged,
		"uner-train.iob2": "# sent_id = 1\n# text = Jane of Acme\n1\tJane\tB-PER\t-\tx\n2\tof\tO\n3\tAcme\tB-ORG\t-\tx\n4\tEarth\tB-OTH\n",
		"uner-dev.tsv":    named, "uner-test.tsv": named, "wikigold.conll": "Jane I-PER\nsaw O\nOslo I-LOC\n",
		"vectors.txt": vectors.String(), "movie_reviews.tsv": reviews.String(),
	} {
		write(t, c, name, text)
	}
	return c
}

func write(t testing.TB, c Corpus, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.Folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestModelsOfASmallCorpus(t *testing.T) {
	c := small(t)
	var steps []string
	o := Options{Seed: 3, Progress: func(s string) { steps = append(steps, s) }}
	w, err := Train(context.Background(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(w.Encode())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Evaluate(context.Background(), c, m, false, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Tags.Value() != 1 || s.RawTags.Value() != 1 || s.AllEntities.F1() != 1 || s.Sentiment.Value() != 1 || s.Sentiment.Of != 40 {
		t.Errorf("scores %+v", s)
	}
	if _, err := Time(c, m); err != nil {
		t.Error(err)
	}
	again, err := Train(context.Background(), c, Options{Seed: 3})
	if err != nil || !bytes.Equal(w.Encode(), again.Encode()) {
		t.Errorf("training is not repeatable: %v", err)
	}
	if len(steps) < 5 {
		t.Errorf("steps %q", steps)
	}
}

func TestMissingFiles(t *testing.T) {
	c := small(t)
	train := func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // reading is enough
		_, err := Train(ctx, c, Options{})
		return err
	}
	for _, name := range []string{"uner-train.iob2", "ewt-train.tsv"} {
		if err := os.Remove(filepath.Join(c.Folder, name)); err != nil {
			t.Fatal(err)
		}
		err := train()
		if optional := name == namedTrain; optional != errors.Is(err, context.Canceled) || optional == errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, "A\tDT\n"); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	write(t, c, "ewt-train.tsv.gz", packed.String())
	if err := train(); !errors.Is(err, context.Canceled) {
		t.Errorf("compressed: %v", err)
	}
	write(t, c, "ewt-train.tsv.gz", "not compressed")
	if err := train(); err == nil || !strings.Contains(err.Error(), "ewt-train.tsv.gz") {
		t.Errorf("not compressed: %v", err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	c := Corpus{Folder: t.TempDir()}
	write(t, c, "columns", "word\n")
	write(t, c, "tag", "word\tNOTAG\n")
	write(t, c, "vectors", "a 1 2\nb 1\n")
	write(t, c, "number", "a 1 x\n")
	write(t, c, "review", "maybe\tname\ttext\n")
	_, columns := c.Tagged("columns")
	_, tag := c.Tagged("tag")
	_, vectors := c.Vectors("vectors", 10)
	_, number := c.Vectors("number", 10)
	_, review := c.Reviews("review")
	for name, err := range map[string]error{"columns": columns, "tag": tag, "vectors": vectors, "number": number, "review": review} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMarksOfAllConventions(t *testing.T) {
	person, inside, place := document.Begin(document.Person), document.Inside(document.Person), document.Begin(document.Location)
	for _, c := range []struct {
		labels string
		want   []document.EntityMark
	}{
		{"B-PER I-PER O B-PER", []document.EntityMark{person, inside, 0, person}},
		{"I-PER I-PER I-LOC", []document.EntityMark{person, inside, place}},
		{"B-person I-person", []document.EntityMark{person, inside}},
		{"B-OTH I-OTH B-O I-MISC", []document.EntityMark{0, 0, 0, 0}},
		{"I-LOC B-LOC", []document.EntityMark{place, place}},
	} {
		if got := marks(strings.Fields(c.labels)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.labels, got)
		}
	}
}

func TestFoldsAreTenthsOfEachClass(t *testing.T) {
	var reviews []Review
	for range 100 {
		reviews = append(reviews, Review{Favourable: true}, Review{})
	}
	var count [folds][2]int
	for i, f := range foldsOf(reviews) {
		count[f][i%2]++
	}
	for f, c := range count {
		if c != [2]int{10, 10} {
			t.Errorf("fold %d has %v", f, c)
		}
	}
}

func FuzzReadLabelled(f *testing.F) {
	f.Add("a\tB-PER\n\n# b\tO\n", 0)
	f.Add("# x\n1\ta\tO\n", 1)
	f.Add("a I-ORG\nb O", 0)
	f.Fuzz(func(t *testing.T, text string, word int) {
		at := columns{word & 3, word&3 + 1}
		all, err := readLabelled(strings.NewReader(text), at)
		if err != nil {
			return
		}
		for _, s := range all {
			if len(s.words) == 0 || len(s.words) != len(s.labels) || slices.Contains(s.words, "") {
				t.Fatalf("%q", s)
			}
		}
	})
}

func FuzzReadVectors(f *testing.F) {
	f.Add("the 1 2 3\nof -1 0.5 1e3\n")
	f.Add("a\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := readVectors(strings.NewReader(text), 100)
		if err == nil && len(v.Values) != len(v.Words)*v.Dimensions {
			t.Fatalf("%d values of %d words", len(v.Values), len(v.Words))
		}
	})
}
