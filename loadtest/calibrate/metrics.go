package calibrate

import (
	"context"
	"strconv"
	"strings"

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

// bucket is one of a histogram: how many were at most so large.
type bucket struct{ most, count float64 }

func (f figures) buckets(name string) (all []bucket) {
	for key, value := range f {
		if !strings.HasPrefix(key, name+"_bucket{") {
			continue
		}
		if most, err := strconv.ParseFloat(exposition.Label(key, "le"), 64); err == nil {
			all = append(all, bucket{most, value})
		}
	}
	return all
}

// quantile interpolates in a histogram, as Prometheus does: 0 if it is empty.
func (f figures) quantile(name string, q float64) float64 {
	all := f.buckets(name)
	sortBuckets(all)
	if len(all) == 0 || all[len(all)-1].count == 0 {
		return 0
	}
	want, below, count := q*all[len(all)-1].count, 0.0, 0.0
	for _, b := range all {
		if b.count >= want {
			if b.most > 1e9 { // infinity
				return below
			}
			return below + (b.most-below)*(want-count)/max(b.count-count, 1)
		}
		below, count = b.most, b.count
	}
	return below
}
