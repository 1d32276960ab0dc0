// Package exposition reads the metrics of a process in the text format of Prometheus.
package exposition

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

// Series are the values of metrics by name and labels, as they are written:
// name{label="value"}.
type Series map[string]float64

// readTime bounds the reading of one process's metrics.
const readTime = 5 * time.Second

// A connection for each reading: no goroutine stays behind.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: readTime}

// Read gets the metrics at a URL, within 5 s.
func Read(ctx context.Context, url string) (Series, error) {
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
	return Parse(answer.Body)
}

// Parse reads the text format, without time stamps (as Starling writes it). A line that
// is none is an error that shows it.
func Parse(from io.Reader) (Series, error) {
	all := Series{}
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
		all[line[:at]] = value
	}
	return all, lines.Err()
}

// Sum adds up a metric over its labels; false if there is none of that name.
func (s Series) Sum(name string) (sum float64, found bool) {
	for key, value := range s {
		if rest, is := strings.CutPrefix(key, name); is && (rest == "" || rest[0] == '{') {
			sum, found = sum+value, true
		}
	}
	return sum, found
}

// Label gives the value of a label in the key of a series; empty if it has none.
func Label(key, name string) string {
	for _, before := range []string{"{", ","} {
		if _, rest, found := strings.Cut(key, before+name+`="`); found {
			value, _, _ := strings.Cut(rest, `"`)
			return value
		}
	}
	return ""
}
