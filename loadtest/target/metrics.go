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

	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
)

// figures are metrics by name, summed over their labels; those by class of function
// also by name and class.
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
		name, labels, _ := strings.Cut(line[:at], "{")
		all[strings.TrimSpace(name)] += value
		if class, is := strings.CutPrefix(labels, `class="`); is && strings.HasPrefix(name, "starling_invoke_") {
			all[name+"/"+strings.TrimSuffix(class, `"}`)] += value
		}
		if name == busyMetric && isPart(labels) {
			all[partsBusy] += value
		}
	}
	return all, lines.Err()
}

// isPart says whether labels are those of a function of a workflow, named workflow/function.
func isPart(labels string) bool {
	_, rest, found := strings.Cut(labels, `function="`)
	function, _, _ := strings.Cut(rest, `"`)
	return found && strings.Contains(function, "/")
}

func (f figures) get(name string) *float64 {
	if value, ok := f[name]; ok {
		return &value
	}
	return nil
}

const (
	usedMetric   = "starling_invoke_used_gigabyte_seconds_total"
	memoryMetric = "starling_invoke_reserved_gigabyte_seconds_total"
	coresMetric  = "starling_invoke_reserved_core_seconds_total"
	busyMetric   = "starling_function_busy_seconds_total"
	partsBusy    = busyMetric + "/parts"
)

// addTo adds Used and R of the workload model, GB x second, in all and by class.
func (f figures) addTo(u *generator.Usage) {
	u.Used, u.Reserved = plus(u.Used, f.get(usedMetric)), plus(u.Reserved, f.get(memoryMetric))
	u.Compute = plus(u.Compute, f.get(partsBusy))
	for name, value := range f {
		if class, is := strings.CutPrefix(name, usedMetric+"/"); is {
			u.AddClass(class, report.ClassUsage{UsedGBS: value, ReservedGBS: f[memoryMetric+"/"+class], ReservedCoreS: f[coresMetric+"/"+class]})
		}
	}
}
