package corpus_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/annotate/corpus"
)

var markup = regexp.MustCompile(`(?s)<!DOCTYPE.*?<p class="lead">|<[^>]*>`)

func TestDocumentsHaveTheWordsAskedFor(t *testing.T) {
	c := corpus.Generated(corpus.Options{Seed: 7, HTMLShare: 0.3})
	html := 0
	rapid.Check(t, func(t *rapid.T) {
		number, words := rapid.Uint64().Draw(t, "number"), rapid.IntRange(1, 2000).Draw(t, "words")
		text, isHTML := c.Document(nil, number, words, false)
		again, _ := c.Document(nil, number, words, false)
		if string(text) != string(again) {
			t.Fatal("not the same twice")
		}
		visible := string(text)
		if isHTML {
			html++
			visible = markup.ReplaceAllString(visible, "")
		}
		if n := len(strings.Fields(visible)); n != words {
			t.Fatalf("%d words, want %d: %s", n, words, visible)
		}
		inside, _ := c.Document([]byte(`"`), number, words, true)
		var decoded string
		if err := json.Unmarshal(append(inside, '"'), &decoded); err != nil || decoded != string(text) {
			t.Fatalf("JSON: %v", err)
		}
	})
	if html == 0 {
		t.Error("no HTML")
	}
}

func TestDocumentsDiffer(t *testing.T) {
	c := corpus.Generated(corpus.Options{Seed: 7})
	seen := map[string]bool{}
	for i := range uint64(2000) {
		text, _ := c.Document(nil, i, 60, false)
		if seen[string(text)] {
			t.Fatal("the same document twice")
		}
		seen[string(text)] = true
	}
	text, _ := c.Document(nil, 3, 60, false)
	t.Log(string(text))
}

func TestCorpusOfFiles(t *testing.T) {
	folder := t.TempDir()
	if _, err := corpus.FromFiles(folder, corpus.Options{}); err == nil {
		t.Error("no files, no error")
	}
	generated, _ := corpus.Generated(corpus.Options{Seed: 1}).Document(nil, 1, 8000, false)
	for name, text := range map[string]string{"a.txt": string(generated), "b.txt": "“Café” & <tag> it's.\nNo end", "c.bin": "\xff"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := corpus.FromFiles(folder, corpus.Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := c.Document(nil, 5, 321, false)
	if n := len(strings.Fields(string(text))); n != 321 {
		t.Error(n)
	}
}
