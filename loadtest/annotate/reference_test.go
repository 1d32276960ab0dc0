package annotate_test

import (
	"testing"

	"github.com/starling-vr/starling/internal/reference"
	"github.com/starling-vr/starling/loadtest/annotate"
)

//go:generate go test -run ^TestReference -update .

const head = reference.Head + `# Results of annotation load tests as JSON

What ` + "`starling loadtest annotate --json FILE`" + ` writes. As JSON Schema: [run](loadtest-annotate.schema.json).

- Latency counts from the time a document was *due*, not from when it was sent, to the last byte of its answer.
- ` + "`late_fraction`" + ` is F_l: a document counts as late if a required function was late or is missing, for whatever reason. Refused, failed and lost documents are late.
  ` + "`admitted_late_fraction`" + ` leaves out what was refused. Optional functions that were shed make no document late; they are counted in ` + "`shed`" + `.
- R is ` + "`reserved_gb_s`" + ` with ` + "`reserved_core_s`" + `: what was kept for the workflows, used or not.
- A figure that could not be had is null, never 0. Times are in the unit that the name ends in; rates end in _per_s; shares are between 0 and 1.
- Within a version fields are only added.
`

func TestReferenceOfTheResults(t *testing.T) {
	reference.SchemaUpToDate(t, "loadtest-annotate.schema.json", annotate.Schema())
	limit := annotate.LimitSchema()
	limit.Properties["runs"].Items, limit.Properties["tries"].Items = nil, nil // described above
	reference.UpToDate(t, "loadtest-annotate.md", head+
		"\n## A run\n"+reference.Fields(annotate.Schema())+
		"\n## A search\n\n`--find-limit` and `--find-r` write this.\n"+reference.Fields(limit))
}
