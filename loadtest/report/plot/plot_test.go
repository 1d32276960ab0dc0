package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var anyNumber = rapid.OneOf(
	rapid.Float64Range(-1e12, 1e12), rapid.Float64Range(-1, 1),
	rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), 1e-300}),
)

var anyAxis = rapid.Custom(func(t *rapid.T) Axis {
	return Axis{
		Label: rapid.String().Draw(t, "label"), Form: rapid.SampledFrom([]Form{Linear, Log, Nines}).Draw(t, "form"),
		FromZero: rapid.Bool().Draw(t, "from zero"), Whole: rapid.Bool().Draw(t, "whole"), Top: rapid.SampledFrom([]float64{0, 1, 1000}).Draw(t, "top"),
		Names: rapid.SampledFrom([][]string{nil, nil, {"1"}, {"1", "2", "3–4", "<more>"}}).Draw(t, "names"),
	}
})

var anySeries = rapid.Custom(func(t *rapid.T) Series {
	s := Series{Name: rapid.StringMatching(`[a-z<&">]{0,12}`).Draw(t, "name"), Kind: Kind(rapid.IntRange(0, 3).Draw(t, "kind")), Class: 1}
	for range rapid.IntRange(0, 9).Draw(t, "points") {
		s.Points = append(s.Points, Point{X: anyNumber.Draw(t, "x"), Y: anyNumber.Draw(t, "y"), To: anyNumber.Draw(t, "to"), Text: "<&>", Label: rapid.SampledFrom([]string{"", "<1>"}).Draw(t, "label"), Foot: "&"})
	}
	return s
})

var coordinates = regexp.MustCompile(` (?:x|cx|y|cy)="(-?[0-9.e+]+)"`)

// Whatever the values, a drawing is well-formed and stays within its frame.
func TestDrawingsStayWithinTheirFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plot{
			Title: "a <title> & more", Text: `"text"`, X: anyAxis.Draw(t, "x"), Y: anyAxis.Draw(t, "y"),
			Marks: []Mark{{At: anyNumber.Draw(t, "mark"), Name: "D"}},
			Data:  rapid.SliceOfN(anySeries, 0, 4).Draw(t, "data"),
		}
		p.X.Label = strings.Map(printable, p.X.Label)
		p.Y.Label = strings.Map(printable, p.Y.Label)
		drawing := p.SVG("a")
		if strings.Contains(drawing, "NaN") && !strings.Contains(p.X.Label+p.Y.Label, "NaN") {
			t.Fatal("NaN in", drawing)
		}
		for d := xml.NewDecoder(strings.NewReader(drawing)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, drawing)
			}
		}
		for _, found := range coordinates.FindAllStringSubmatch(drawing, -1) {
			if v, err := strconv.ParseFloat(found[1], 64); err != nil || v < -1 || v > Width+1 {
				t.Fatalf("%s lies outside", found[0])
			}
		}
	})
}

// printable keeps what XML can carry.
func printable(r rune) rune {
	if r < ' ' || r == 0xFFFE || r == 0xFFFF || r == 0xFFFD {
		return '.'
	}
	return r
}

func TestTicks(t *testing.T) {
	for name, c := range map[string]struct {
		axis   Axis
		values []float64
		want   string
	}{
		"from zero":        {Axis{FromZero: true}, []float64{3, 17}, "0 5 10 15 20"},
		"below one":        {Axis{FromZero: true}, []float64{0.21}, "0 0.05 0.1 0.15 0.2 0.25"},
		"percentages":      {Axis{FromZero: true, Write: Percent}, []float64{0.01}, "0% 0.2% 0.4% 0.6% 0.8% 1%"},
		"at least to":      {Axis{FromZero: true, Top: 10}, []float64{1}, "0 2 4 6 8 10"},
		"whole":            {Axis{FromZero: true, Whole: true}, []float64{3}, "0 1 2 3"},
		"all alike":        {Axis{}, []float64{5, 5}, "5 5.2 5.4 5.6 5.8 6"},
		"a decade":         {Axis{Form: Log}, []float64{1, 10}, "1 2 5 10"},
		"many decades":     {Axis{Form: Log}, []float64{0.1, 10000}, "0.1 1 10 100 1000 10k"},
		"nothing positive": {Axis{Form: Log}, []float64{0, -1}, "0.1 0.2 0.5 1"},
		"nines":            {Axis{Form: Nines}, []float64{0, 0.9995}, "50% 90% 99% 99.9%"},
		"nothing":          {Axis{}, nil, "0 0.2 0.4 0.6 0.8 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, tick := range c.axis.over(c.values).ticks {
				got = append(got, tick.text)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
}

func TestShortNumbers(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 1500: "1500", 15000: "15k", 2.5e6: "2.5M", 3e9: "3G", 0.25: "0.25", 1e-7: "1e-07"} {
		if got := Short(x); got != want {
			t.Errorf("Short(%v) = %s, want %s", x, got, want)
		}
	}
}
