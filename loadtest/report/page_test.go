package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pageOf writes a page and gives its text.
func pageOf(t *testing.T, write func(folder string) error) string {
	t.Helper()
	folder := t.TempDir()
	if keep := os.Getenv("STARLING_PAGES"); keep != "" { // to look at them
		folder = filepath.Join(keep, strings.ReplaceAll(t.Name(), "/", "-"))
	}
	if err := write(folder); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestThePageNeedsNothingElse(t *testing.T) {
	r := sample(1, 300, 1)
	r.Scenario, r.Notes = `<script>alert("x")</script>`, []string{`a "note" & more`}
	text := pageOf(t, func(folder string) error { return WritePage(folder, 0.01, r, sample2(r)) })
	for _, bad := range []string{"<script", "http:", "https:", "url(", "<link", "@import", "NaN", "Inf", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"Each run", "Latency, action to update", "P(L)", "F(L)", "Regularity", "The machine", "D = 15 ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// sample2 is another run of the same kind.
func sample2(r Run) Run {
	again := sample(2, 300, 1.2)
	again.Scenario = r.Scenario
	return again
}

var drawings = regexp.MustCompile(`(?s)<svg class="plot".*?</svg>`)

func TestTheDrawingsAreWellFormedAndNamed(t *testing.T) {
	r := sample(1, 300, 1)
	text := pageOf(t, func(folder string) error { return WritePage(folder, 0, r) })
	all := drawings.FindAllString(text, -1)
	if len(all) != 8 {
		t.Errorf("%d drawings, want 8", len(all))
	}
	for _, drawing := range all {
		if !strings.Contains(drawing, `role="img" aria-labelledby=`) {
			t.Errorf("a drawing without a name: %.200s", drawing)
		}
		for d := xml.NewDecoder(strings.NewReader(drawing)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %.200s", err, drawing)
			}
		}
	}
}

// A run of a server that shows nothing, in which nothing happened, still makes
// a page.
func TestThePageOfAnEmptyRun(t *testing.T) {
	r := Run{Scenario: "sparse", Target: "wss://play.example.org"}
	r.Derive()
	text := pageOf(t, func(folder string) error { return WritePage(folder, 0.01, r) })
	for _, bad := range []string{"NaN", "Inf", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}
