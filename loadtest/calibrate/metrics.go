package calibrate

import (
	"context"

	"github.com/starling-vr/starling/loadtest/exposition"
)

// figures are the metrics of a process.
type figures exposition.Series

func scrape(ctx context.Context, url string) (figures, error) {
	all, err := exposition.Read(ctx, url)
	return figures(all), err
}

// sum adds up a metric over its labels.
func (f figures) sum(name string) float64 {
	sum, _ := exposition.Series(f).Sum(name)
	return sum
}

// less gives what was added since.
func (f figures) less(before figures) figures {
	d := make(figures, len(f))
	for key, value := range f {
		d[key] = value - before[key]
	}
	return d
}
