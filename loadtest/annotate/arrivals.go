package annotate

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Arrivals says how documents arrive: "poisson", "uniform" (evenly), or "bursts:N":
// N at once, the bursts being a Poisson process with the same rate of documents.
type Arrivals struct {
	Kind  string
	Burst int
}

// ParseArrivals reads the form of the flag.
func ParseArrivals(text string) (Arrivals, error) {
	kind, number, has := strings.Cut(text, ":")
	switch {
	case (kind == "poisson" || kind == "uniform") && !has:
		return Arrivals{Kind: kind, Burst: 1}, nil
	case kind == "bursts" && has:
		n, err := strconv.Atoi(number)
		if err == nil && n >= 1 && n <= 1_000_000 {
			return Arrivals{Kind: kind, Burst: n}, nil
		}
	}
	return Arrivals{}, fmt.Errorf("arrivals %q: want poisson, uniform or bursts:200", text)
}

func (a Arrivals) String() string {
	if a.Kind == "bursts" {
		return fmt.Sprintf("bursts:%d", a.Burst)
	}
	return a.Kind
}

// Schedule gives the times at which documents fall due, ascending, below duration.
func (a Arrivals) Schedule(rate float64, duration time.Duration, seed uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 0xa771))
	every := float64(time.Second) / rate * float64(a.Burst)
	due := make([]time.Duration, 0, int(rate*duration.Seconds()*1.1)+a.Burst)
	for at := 0.0; ; {
		if a.Kind == "uniform" {
			at += every
		} else {
			at += every * random.ExpFloat64()
		}
		if time.Duration(at) >= duration {
			return due
		}
		for range a.Burst {
			due = append(due, time.Duration(at))
		}
	}
}

// Words says how long documents are, in words: "fixed:300", "uniform:50-750" or
// "log-uniform:8-800000" (as many between 10 and 100 as between 100 and 1000).
type Words struct {
	Kind     string
	From, To int
}

// ParseWords reads the form of the flag.
func ParseWords(text string) (Words, error) {
	kind, span, _ := strings.Cut(text, ":")
	from, to, has := strings.Cut(span, "-")
	if kind == "fixed" && !has {
		to = from
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	known := kind == "fixed" && !has || (kind == "uniform" || kind == "log-uniform") && has
	if !known || errA != nil || errB != nil || a < 1 || b < a || b > 10_000_000 {
		return Words{}, fmt.Errorf("words %q: want fixed:300, uniform:50-750 or log-uniform:8-800000", text)
	}
	return Words{kind, a, b}, nil
}

func (w Words) String() string {
	if w.Kind == "fixed" {
		return fmt.Sprintf("fixed:%d", w.From)
	}
	return fmt.Sprintf("%s:%d-%d", w.Kind, w.From, w.To)
}

// Draw gives the words of document number.
func (w Words) Draw(seed uint64, number int) int {
	random := rand.New(rand.NewPCG(seed^0x3017d5, uint64(number)))
	if w.Kind == "log-uniform" {
		return int(float64(w.From) * powOf(float64(w.To+1)/float64(w.From), random.Float64()))
	}
	return w.From + random.IntN(w.To-w.From+1)
}
