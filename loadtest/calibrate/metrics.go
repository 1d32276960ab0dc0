package calibrate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// figures are the metrics of a process by name and labels, as they are written.
type figures map[string]float64

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

func scrape(ctx context.Context, url string) (figures, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	return parse(answer.Body)
}

// parse reads the text format of Prometheus.
func parse(from io.Reader) (figures, error) {
	all := figures{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if line == "" || line[0] == '#' || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %.80q: %w", line, err)
		}
		all[line[:at]] = value
	}
	return all, lines.Err()
}

// sum adds up a metric over its labels.
func (f figures) sum(name string) (sum float64) {
	for key, value := range f {
		if key == name || strings.HasPrefix(key, name) && key[len(name)] == '{' {
			sum += value
		}
	}
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
		_, label, found := strings.Cut(key, `le="`)
		text, _, closed := strings.Cut(label, `"`)
		if most, err := strconv.ParseFloat(text, 64); err == nil && found && closed {
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
