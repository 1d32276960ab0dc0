package target

import (
	"context"

	"github.com/starling-vr/starling/loadtest/exposition"
	"github.com/starling-vr/starling/loadtest/generator"
)

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

// Usage implements generator.Meter. What a store uses that has processes of its
// own is not in it.
func (r *Remote) Usage(ctx context.Context) (generator.Usage, error) {
	var u generator.Usage
	for _, url := range r.metrics {
		all, err := exposition.Read(ctx, url)
		if err != nil {
			return u, err
		}
		u.CPU += all["process_cpu_seconds_total"]
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
