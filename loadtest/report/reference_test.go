package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/starling-vr/starling/internal/reference"
)

//go:generate go test -run ^TestReference -update .

func TestReferenceOfTheSchemas(t *testing.T) {
	reference.SchemaUpToDate(t, "loadtest-run.schema.json", Schema())
	reference.SchemaUpToDate(t, "loadtest-limit.schema.json", LimitSchema())
}

const referenceHead = reference.Head + `# Results of load tests as JSON

What ` + "`starling loadtest crowd --json FILE`" + ` writes, and ` + "`starling loadtest compare`" + ` reads. As JSON Schema: [run](loadtest-run.schema.json), [search for the limit](loadtest-limit.schema.json).

- One run is an object; several (seeds, the points of a sweep) are an array of such objects. Readers take objects and arrays one after another.
- Version %d. Within a version fields are only added, and mean what they mean; a file of a newer version is refused, as is one with fields that the reader does not know, or with counts that contradict each other.
- A figure that could not be had is null, never 0. Times are in the unit that the name ends in: _s, _ms, _us; rates end in _per_s; shares are between 0 and 1.
- All rates, shares and quantiles follow from the counts and histograms beside them, so runs of the same scenario merge without loss.
- Latency counts from the time an action was *due*, not from when it was sent. Of the received deliveries only; those that never came are in the miss rates.
- Expected deliveries are computed by the load tester from its own positions and H3, never from what the server says.

A few figures with jq:

` + "```" + `
jq '{miss_rate, p99: .latency_ms.p99, cpu: .server.cpu_us_per_action}' run.json
jq -r '.series[] | [.at_s, .offered, .achieved, .p99_ms] | @tsv' run.json
` + "```" + `

`

func TestReferenceOfTheResults(t *testing.T) {
	limit := LimitSchema()
	limit.Properties["runs"].Items = nil // described above
	reference.UpToDate(t, "loadtest-json.md", fmt.Sprintf(referenceHead, Version)+
		"## A run\n"+reference.Fields(Schema())+
		"\n## The search for the limit\n\n`--find-limit --json FILE` writes this; readers of runs take its runs.\n"+reference.Fields(limit))
}

// Every field of the form that others rely on is there, by these names.
func TestTheFormHasItsFields(t *testing.T) {
	var m map[string]any
	if err := json.Unmarshal(written(t, sample(1, 20, 1)), &m); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"scenario", "participants", "offered_per_s", "achieved_per_s", "goodput_per_s", "refused", "deliveries_expected", "deliveries_received",
		"deliveries_conflated", "miss_rate", "action_miss_rate", "miss_rate_30ms", "latency_ms.p50", "latency_ms.p90", "latency_ms.p99", "latency_ms.p999",
		"latency_ms.max", "server.cpu_s", "server.cpu_us_per_action", "server.rss_bytes", "generator.cpu_s", "generator.lag_p99_ms", "used_gb_s",
		"reserved_gb_s", "durability", "store", "seed", "machine",
	} {
		var at any = m
		for name := range strings.SplitSeq(path, ".") {
			within, _ := at.(map[string]any)
			found, ok := within[name]
			if !ok {
				t.Errorf("%s is missing", path)
			}
			at = found
		}
	}
}
