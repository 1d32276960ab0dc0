package plot

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Form is how values lie along an axis.
type Form int

// The forms of axes.
const (
	Linear Form = iota
	Log         // of positive values; others lie at the lowest
	Nines       // shares 0..1 by the number of nines: 0, 0.9, 0.99, … are equally far apart
)

// Axis tells how to lay values out.
type Axis struct {
	Label    string
	Form     Form
	FromZero bool                 // a linear axis begins at 0
	Top      float64              // the least upper end; 0 none
	Whole    bool                 // ticks at whole numbers only
	Write    func(float64) string // of ticks; default: short numbers
	Names    []string             // the axis has places instead of numbers: 0, 1, … are called so
}

type mark struct {
	at   float64
	text string
}

// scale maps values to coordinates.
type scale struct {
	form      Form
	from, to  float64 // in the form's own measure
	low, high float64 // coordinates
	ticks     []mark
}

func (s scale) at(value float64) float64 {
	if s.to == s.from {
		return (s.low + s.high) / 2
	}
	t := (s.form.measure(value, s.from) - s.from) / (s.to - s.from)
	return s.low + min(max(t, 0), 1)*(s.high-s.low)
}

// measure gives where a value lies; what has no place lies at the lowest.
func (f Form) measure(value, lowest float64) float64 {
	switch {
	case f == Log && value <= 0:
		return lowest
	case f == Log:
		return math.Log10(value)
	case f == Nines:
		return -math.Log10(max(1-value, 1e-9))
	}
	return value
}

// over makes the scale that holds values.
func (a Axis) over(values []float64) scale {
	if len(a.Names) > 0 {
		return namedScale(a.Names)
	}
	from, to := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || a.Form == Log && v <= 0 {
			continue
		}
		from, to = min(from, v), max(to, v)
	}
	if from > to {
		from, to = 0, 1
		if a.Form == Log {
			from = 0.1
		}
	}
	write := a.Write
	if write == nil {
		write = Short
	}
	switch a.Form {
	case Log:
		return logScale(from, max(to, a.Top), write)
	case Nines:
		return ninesScale(to)
	}
	if a.FromZero {
		from = min(from, 0)
	}
	return linearScale(from, max(to, a.Top), a.FromZero, a.Whole, write)
}

// namedScale gives each name as much room as the next, around its number, and
// leaves some on the right for the names of marks.
func namedScale(names []string) scale {
	s := scale{from: -0.5, to: 1.12*float64(len(names)) - 0.5}
	for i, name := range names {
		s.ticks = append(s.ticks, mark{float64(i), name})
	}
	return s
}

// linearScale has four to seven ticks at 1, 2 or 5 times a power of ten; its
// ends are ticks if it begins at 0.
func linearScale(from, to float64, ends, whole bool, write func(float64) string) scale {
	if to-from <= 1e-9*max(math.Abs(from), math.Abs(to)) {
		to = from + max(1, 1e-3*math.Abs(from))
	}
	step := niceStep((to - from) / 5)
	if whole {
		step = max(math.Round(step), 1)
	}
	s := scale{from: from, to: to}
	if ends {
		s.from, s.to = math.Floor(from/step)*step, math.Ceil(to/step-1e-9)*step
	}
	for i := math.Ceil(s.from/step - 1e-9); i*step <= s.to+step*1e-9; i++ {
		v := i*step + 0 // not -0
		s.ticks = append(s.ticks, mark{v, write(v)})
	}
	return s
}

func niceStep(raw float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if raw <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

// logScale has ticks at 1, 2 and 5 times the powers of ten, or, over more than
// three of them, at the powers alone.
func logScale(from, to float64, write func(float64) string) scale {
	steps := []float64{1, 2, 5}
	if to/from > 2000 {
		steps = []float64{1}
	}
	a, b := math.Log10(from), math.Log10(max(to, from*2))
	s := scale{form: Log, from: a, to: b}
	for power := math.Floor(a); power <= math.Ceil(b); power++ {
		for _, m := range steps {
			v := m * math.Pow(10, power)
			if l := math.Log10(v); l >= a-1e-9 && l <= b+1e-9 {
				s.ticks = append(s.ticks, mark{v, write(v)})
			}
		}
	}
	return s
}

// ninesScale begins at 0 and ends at the given share, at least at 0.99.
func ninesScale(to float64) scale {
	s := scale{form: Nines, from: 0, to: max(Nines.measure(to, 0), 2)}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999} {
		if Nines.measure(q, 0) <= s.to+1e-9 {
			s.ticks = append(s.ticks, mark{q, strconv.FormatFloat(100*q, 'f', max(len(strconv.FormatFloat(q, 'f', -1, 64))-4, 0), 64) + "%"})
		}
	}
	return s
}

// Short writes a number in few digits: 1,500 as 1.5k.
func Short(x float64) string {
	units := []struct {
		from float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}}
	for _, u := range units {
		if math.Abs(x) >= u.from {
			scale := u.from
			if u.name == "k" {
				scale = 1e3
			}
			return trimmed(x/scale) + u.name
		}
	}
	return trimmed(x)
}

func trimmed(x float64) string {
	text := strconv.FormatFloat(x, 'g', 4, 64)
	if strings.Contains(text, "e") {
		return fmt.Sprintf("%.0e", x)
	}
	return text
}

// Percent writes a share as a percentage.
func Percent(x float64) string { return trimmed(100*x) + "%" }
