package target

import (
	"context"
	"errors"
	"fmt"

	"github.com/starling-vr/starling/loadtest/exposition"
	"github.com/starling-vr/starling/loadtest/generator"
)

const cpuMetric = "process_cpu_seconds_total"

// Remote is a server that is there already. What it uses is read from the
// /metrics of its processes.
type Remote struct{ metrics []string }

// NewRemote makes a meter of the processes with these /metrics; nil without any.
func NewRemote(metrics []string) *Remote {
	if len(metrics) == 0 {
		return nil
	}
	return &Remote{metrics: metrics}
}

// Check says which of the addresses are not those of /metrics.
func (r *Remote) Check(ctx context.Context) error {
	for _, url := range r.metrics {
		all, err := exposition.Read(ctx, url)
		if _, known := all[cpuMetric]; err == nil && !known {
			err = errors.New("there is no " + cpuMetric + " among what it says")
		}
		if err != nil {
			return fmt.Errorf("--server-metrics %s: %w; give the address of /metrics of a process of the target, like http://HOST:PORT/metrics, "+
				"or leave --server-metrics out: then the server's processor time is not known", url, err)
		}
	}
	return nil
}

// Usage implements generator.Meter. What a store uses that has processes of its
// own is not in it.
func (r *Remote) Usage(ctx context.Context) (generator.Usage, error) {
	var u generator.Usage
	for _, url := range r.metrics {
		all, err := exposition.Read(ctx, url)
		if err != nil {
			return u, err
		}
		u.CPU += all[cpuMetric]
		u.RSS += int64(all["process_resident_memory_bytes"])
		addUsage(&u, all)
	}
	return u, nil
}

func plus(a, b *float64) *float64 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	sum := *a + *b
	return &sum
}
