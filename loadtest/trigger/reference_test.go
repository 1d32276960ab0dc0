package trigger

import (
	"fmt"
	"testing"

	"github.com/starling-vr/starling/internal/reference"
)

//go:generate go test -run ^TestReference -update .

const referenceHead = reference.Head + `# Results of the trigger's load test

What ` + "`starling loadtest trigger --json FILE`" + ` writes. The same as JSON Schema: [loadtest-trigger.schema.json](loadtest-trigger.schema.json).

- Version %d. Within a version fields are only added, and mean what they mean.
- Latency counts from the time a record was *due* by the clock to when the batch it was in was decided. Shares are of all records due: what was lost or failed is within nothing.
- A time falls into a bucket 16 ticks of the clock wide (6 ns at 2.6 GHz); those in the bucket of a bound do not count as within it.
- ` + "`empty_loop`" + ` is the same schedule, pollers and arenas with a function that does nothing, before, between and after the network's turns: what even that misses the machine keeps to itself. Compare machines by ` + "`of_empty_loop`" + `.

` + "```" + `
jq '{rate_per_s, ns300: .within.ns300, of_empty: .of_empty_loop.ns300, met, limits: .machine.limits}' run.json
` + "```" + `

`

func TestReferenceOfTheResults(t *testing.T) {
	reference.SchemaUpToDate(t, "loadtest-trigger.schema.json", Schema())
	reference.UpToDate(t, "loadtest-trigger-json.md", fmt.Sprintf(referenceHead, Version)+"## A result\n"+reference.Fields(Schema()))
}
