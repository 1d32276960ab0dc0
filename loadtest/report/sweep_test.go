package report

import (
	"slices"
	"strings"
	"testing"
)

func swept(t *testing.T) *Sweep {
	t.Helper()
	var runs []Run
	for _, participants := range []int{4000, 400, 1600} {
		for seed := range uint64(2) {
			r := sample(seed, float64(participants)/20, 0.8+float64(participants)/8000)
			r.Participants = participants
			runs = append(runs, r)
		}
	}
	runs[0].Server = nil
	s, err := NewSweep("participants", runs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASweepIsOrdered(t *testing.T) {
	s := swept(t)
	var values []float64
	for _, p := range s.Points {
		values = append(values, p.Value)
		if len(p.Runs) != 2 {
			t.Errorf("%d runs at %v", len(p.Runs), p.Value)
		}
	}
	if !slices.Equal(values, []float64{400, 1600, 4000}) {
		t.Errorf("values %v", values)
	}
	if _, err := NewSweep("colour", []Run{{}}); err == nil || !strings.Contains(err.Error(), "want one of participants") {
		t.Errorf("an unknown parameter: %v", err)
	}
	if _, err := NewSweep("participants", nil); err == nil {
		t.Error("a sweep of nothing")
	}
}

// A sweep over density is by the factors that were given, and tells what they made.
func TestASweepOverDensity(t *testing.T) {
	var runs []Run
	for i, density := range []float64{1.3, 1.14, 1.15} {
		r := sample(uint64(i), 90, 1)
		r.Model.DensityFactor, r.Model.Density = []float64{2, 0.5, 0.5}[i], density
		runs = append(runs, r)
	}
	s, err := NewSweep("density", runs)
	if err != nil {
		t.Fatal(err)
	}
	rows := s.table().Rows
	if len(rows) != 2 || rows[0][0] != "0.5" || rows[1][0] != "2" || rows[0][2] != "1.15 (1.14–1.15)" && rows[0][2] != "1.14 (1.14–1.15)" || rows[1][2] != "1.30" {
		t.Errorf("%q", rows)
	}
}

func TestTheTableOfASweep(t *testing.T) {
	s := swept(t)
	var text, markdown strings.Builder
	if err := s.WriteTable(&text, false); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteTable(&markdown, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "CPU per delivery: ") || !strings.Contains(text.String(), "4,000") {
		t.Errorf("the text is\n%s", text.String())
	}
	lines := strings.Split(strings.TrimSpace(markdown.String()), "\n")
	if len(lines) != 5 || strings.Count(lines[0], "|") != strings.Count(lines[4], "|") || !strings.HasPrefix(lines[1], "| ---: |") {
		t.Errorf("the Markdown is\n%s", markdown.String())
	}
}

// A sweep with a yardstick tells what a delivery costs that, too, and the ratio: by
// it a cost that grows by half is flat where the yardstick's grows by half, too.
func TestASweepBesideAYardstick(t *testing.T) {
	var runs []Run
	for i, participants := range []int{400, 4000} {
		r := sample(uint64(i), 90, 1)
		r.Participants = participants
		bare := Measure{CPUUSPerDelivery: r.Server.CPUUSPerDelivery / 2}
		r.Yardstick = &bare
		runs = append(runs, r)
	}
	s, err := NewSweep("participants", runs)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range s.table().Rows {
		if len(row) != len(s.table().Head) || row[7] != "2.00" {
			t.Errorf("%q", row)
		}
	}
	if head := s.table().Head; head[5] != "CPU µs/delivery" || head[6] != "yardstick's" || head[7] != "ratio" {
		t.Errorf("%q", head)
	}
	if text := s.Flatness(); !strings.Contains(text, "the yardstick's: ") || !strings.HasSuffix(text, "the ratio: 2.00 to 2.00, 0 %.") {
		t.Error(text)
	}
	text := pageOf(t, func(folder string) error { return WriteSweepPage(folder, s) })
	if n := len(drawings.FindAllString(text, -1)); n != 7 || !strings.Contains(text, "Against the yardstick") {
		t.Errorf("%d drawings, want 7", n)
	}
}

func TestThePageOfASweep(t *testing.T) {
	s := swept(t)
	text := pageOf(t, func(folder string) error { return WriteSweepPage(folder, s) })
	for _, want := range []string{"CPU per delivery", "M, misses", "4,000"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := len(drawings.FindAllString(text, -1)); n != 6 {
		t.Errorf("%d drawings, want 6", n)
	}
}

func TestThePageOfASearch(t *testing.T) {
	a, b, c := sample(1, 300, 1), sample(2, 300, 1), sample(1, 400, 1.5)
	l := &Limit{Scenario: "street", MaxMiss: 0.05, Found: true, RatePerS: 2988, LowPerS: 2988, HighPerS: 3000, Runs: []Run{a, b}}
	for _, r := range []*Run{&a, &c, &b} {
		l.Tries = append(l.Tries, TryOf(r, l.MaxMiss))
	}
	text := pageOf(t, func(folder string) error { return WriteLimitPage(folder, l) })
	for _, want := range []string{"2,988 actions/s held in every seed", "The search", "All that was tried", "did not hold"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	none := pageOf(t, func(folder string) error {
		return WriteLimitPage(folder, &Limit{Scenario: "street", MaxMiss: 0.01, Tries: []Try{TryOf(&c, 0.01)}})
	})
	if !strings.Contains(none, "No rate that was tried held") {
		t.Error("a search that found nothing does not say so")
	}
}
