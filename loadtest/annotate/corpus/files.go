package corpus

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// mostBytes bounds what is read of a folder.
const mostBytes = 64 << 20

// FromFiles makes a corpus of the running text in the files *.txt below a folder. A
// document is drawn from sentences of all of them.
func FromFiles(folder string, options Options) (*Corpus, error) {
	c := &Corpus{seed: options.Seed, htmlShare: options.HTMLShare, name: folder}
	var text bytes.Buffer
	var paths []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".txt") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("corpus %s: there are no files *.txt", folder)
	}
	slices.Sort(paths)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("corpus: %s is not UTF-8", path)
		}
		if text.Len()+len(data) > mostBytes {
			break
		}
		text.Write(data)
		text.WriteByte('\n')
	}
	c.fill(strings.Fields(text.String()))
	return c, c.check()
}

// fill cuts running text into sentences: at marks that end one, at the longest
// length, and for lengths that are rare, anywhere.
func (c *Corpus) fill(words []string) {
	start := 0
	for i, word := range words {
		ends := strings.HasSuffix(word, ".") || strings.HasSuffix(word, "!") || strings.HasSuffix(word, "?")
		if n := i + 1 - start; ends || n == longest {
			c.add(strings.Join(words[start:i+1], " "), n)
			start = i + 1
		}
	}
	random := rand.New(rand.NewPCG(c.seed, uint64(len(words))))
	for n := shortest; n <= longest && len(words) > 100*longest; n++ {
		for len(c.bank[n]) < 50 {
			from := random.IntN(len(words) - n)
			c.add(strings.Join(words[from:from+n], " "), n)
		}
	}
}

// escapeHTML writes what has a meaning in markup as character references.
func escapeHTML(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", "’", "&rsquo;").Replace(text)
}
