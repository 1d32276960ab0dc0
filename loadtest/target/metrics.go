package target

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

// figures are metrics by name, summed over their labels.
type figures map[string]float64

// scrapeTime bounds the reading of a /metrics.
const scrapeTime = 2 * time.Second

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// scrape reads the metrics of a process.
func scrape(ctx context.Context, url string) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
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

// parse reads the text format of Prometheus, without time stamps (as Starling
// writes it).
func parse(from io.Reader) (figures, error) {
	all := figures{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("metrics: %.80q", line)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %.80q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:at], "{")
		all[strings.TrimSpace(name)] += value
	}
	return all, lines.Err()
}

func (f figures) get(name string) *float64 {
	if value, ok := f[name]; ok {
		return &value
	}
	return nil
}

// used and reserved are Used and R of the workload model, GB x second.
func (f figures) used() *float64 { return f.get("starling_invoke_used_gigabyte_seconds_total") }

func (f figures) reserved() *float64 { return f.get("starling_invoke_reserved_gigabyte_seconds_total") }
