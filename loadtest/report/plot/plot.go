// Package plot draws line, step, bar and dot plots as SVG that takes its colours
// from the page's style sheet, so that one picture serves a light and a dark
// screen and paper. (Plotting libraries fix the colours, and bring fonts and
// raster images of several megabytes into every binary.)
//
// The classes that a style sheet sets: plot, grid, axis, tick, label, legend,
// mark, value (above a bar), foot (in it), and s1..s5 for the series.
package plot

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Size of a plot in its own units; it scales to the width that it is given.
const (
	Width  = 640
	Height = 300

	left, right, bottom = 62, 18, 44
	top                 = 34 // with room for the legend
)

// Kind is how a series is drawn.
type Kind int

// The kinds of series.
const (
	Line  Kind = iota
	Steps      // the value holds until the next point
	Bars       // from X to To
	Dots
)

// Point is a point of a series.
type Point struct {
	X, Y  float64
	To    float64 // of bars, where they end
	Text  string  // shown under the pointer; "" shows nothing
	Label string  // of bars, stands above them
	Foot  string  // of bars, stands in them, at the foot
}

// Series are points of one kind in ascending X.
type Series struct {
	Name   string
	Kind   Kind
	Class  int // 1..5, the colour
	Points []Point
}

// Mark is a line across the plot, such as a deadline.
type Mark struct {
	At   float64
	Name string
}

// Plot is a picture of series over two axes.
type Plot struct {
	Title string // for those who do not see it
	Text  string // what it shows, in a sentence, for the same
	X, Y  Axis
	Marks []Mark // at values of Y
	Data  []Series
}

// SVG draws it. id must be unique within the page.
func (p *Plot) SVG(id string) string {
	x, y := p.X.over(p.values(func(q Point, s Series) []float64 {
		if s.Kind == Bars {
			return []float64{q.X, q.To}
		}
		return []float64{q.X}
	})), p.Y.over(append(p.values(func(q Point, _ Series) []float64 { return []float64{q.Y} }), p.marks()...))
	x.low, x.high = left, Width-right
	y.low, y.high = Height-bottom, top
	d := drawing{x: x, y: y}
	d.printf(`<svg class="plot" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		Width, Height, id, id, id, html.EscapeString(p.Title), id, html.EscapeString(p.Text))
	d.axes(p)
	for _, s := range p.Data {
		d.series(s)
	}
	for _, m := range p.Marks {
		d.mark(m)
	}
	d.legend(p.Data)
	d.printf("</svg>")
	return d.String()
}

func (p *Plot) values(of func(Point, Series) []float64) (all []float64) {
	for _, s := range p.Data {
		for _, q := range s.Points {
			all = append(all, of(q, s)...)
		}
	}
	return all
}

func (p *Plot) marks() (all []float64) {
	for _, m := range p.Marks {
		all = append(all, m.At)
	}
	return all
}

type drawing struct {
	strings.Builder
	x, y scale
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *drawing) axes(p *Plot) {
	d.printf(`<g class="grid">`)
	for _, t := range d.y.ticks {
		d.printf(`<path d="M%d %sH%d"/>`, left, f(d.y.at(t.at)), Width-right)
	}
	for _, t := range d.x.ticks {
		d.printf(`<path d="M%s %dV%d"/>`, f(d.x.at(t.at)), Height-bottom, Height-bottom+4)
	}
	d.printf(`</g><g class="tick">`)
	for _, t := range d.y.ticks {
		d.printf(`<text x="%d" y="%s" text-anchor="end">%s</text>`, left-8, f(d.y.at(t.at)+4), html.EscapeString(t.text))
	}
	for _, t := range d.x.ticks {
		d.printf(`<text x="%s" y="%d" text-anchor="middle">%s</text>`, f(d.x.at(t.at)), Height-bottom+18, html.EscapeString(t.text))
	}
	d.printf(`</g><path class="axis" d="M%d %dH%d"/>`, left, Height-bottom, Width-right)
	d.printf(`<text class="label" x="%d" y="%d" text-anchor="middle">%s</text>`, (left+Width-right)/2, Height-6, html.EscapeString(p.X.Label))
	d.printf(`<text class="label" transform="translate(13 %d) rotate(-90)" text-anchor="middle">%s</text>`, (top+Height-bottom)/2, html.EscapeString(p.Y.Label))
}

func (d *drawing) series(s Series) {
	d.printf(`<g class="s%d">`, s.Class)
	switch s.Kind {
	case Bars:
		d.bars(s.Points)
	case Dots:
		for _, q := range s.Points {
			d.printf(`<circle class="dot" cx="%s" cy="%s" r="4">%s</circle>`, f(d.x.at(q.X)), f(d.y.at(q.Y)), tip(q.Text))
		}
	default:
		d.line(s)
	}
	d.printf(`</g>`)
}

// footRoom is how high a bar is that has room for its foot.
const footRoom = 20

func (d *drawing) bars(points []Point) {
	floor := float64(Height - bottom)
	for _, q := range points {
		a, b, h := d.x.at(q.X), d.x.at(q.To), floor-d.y.at(q.Y)
		gap := 0.0
		if b-a > 4 {
			gap = 1
		}
		d.printf(`<rect x="%s" y="%s" width="%s" height="%s">%s</rect>`, f(a+gap/2), f(floor-h), f(max(b-a-gap, 0.8)), f(max(h, 0)), tip(q.Text))
		if q.Foot != "" && h > footRoom {
			d.printf(`<text class="foot" x="%s" y="%s" text-anchor="middle">%s</text>`, f((a+b)/2), f(floor-6), html.EscapeString(q.Foot))
		}
		if q.Label != "" {
			d.printf(`<text class="value" x="%s" y="%s" text-anchor="middle">%s</text>`, f((a+b)/2), f(floor-h-6), html.EscapeString(q.Label))
		}
	}
}

func (d *drawing) line(s Series) {
	if len(s.Points) == 0 {
		return
	}
	var path strings.Builder
	for i, q := range s.Points {
		x, y := f(d.x.at(q.X)), f(d.y.at(q.Y))
		switch {
		case i == 0:
			fmt.Fprintf(&path, "M%s %s", x, y)
		case s.Kind == Steps:
			fmt.Fprintf(&path, "H%sV%s", x, y)
		default:
			fmt.Fprintf(&path, "L%s %s", x, y)
		}
	}
	d.printf(`<path class="line" d="%s"/>`, path.String())
	for _, q := range s.Points {
		if q.Text != "" || len(s.Points) == 1 {
			d.printf(`<circle class="spot" cx="%s" cy="%s" r="5">%s</circle>`, f(d.x.at(q.X)), f(d.y.at(q.Y)), tip(q.Text))
		}
	}
}

func tip(text string) string {
	if text == "" {
		return ""
	}
	return "<title>" + html.EscapeString(text) + "</title>"
}

func (d *drawing) mark(m Mark) {
	y := d.y.at(m.At)
	d.printf(`<g class="mark"><path d="M%d %sH%d"/><text x="%d" y="%s" text-anchor="end">%s</text></g>`,
		left, f(y), Width-right, Width-right-2, f(y-5), html.EscapeString(m.Name))
}

// legend names the series that have a name, if there are several.
func (d *drawing) legend(all []Series) {
	all = slices.DeleteFunc(slices.Clone(all), func(s Series) bool { return s.Name == "" })
	if len(all) < 2 {
		return
	}
	x := float64(left)
	d.printf(`<g class="legend">`)
	for _, s := range all {
		d.printf(`<g class="s%d"><rect x="%s" y="9" width="12" height="4" rx="2"/></g><text x="%s" y="15">%s</text>`,
			s.Class, f(x), f(x+17), html.EscapeString(s.Name))
		x += 17 + 6.2*float64(len([]rune(s.Name))) + 18
	}
	d.printf(`</g>`)
}

// f writes a coordinate with one decimal.
func f(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = 0
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}
