package report

import (
	"reflect"
	"slices"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema gives the JSON Schema (2020-12) of a run.
func Schema() *jsonschema.Schema {
	schema := SchemaOf[Run]("Starling load test run", "Result of one run of the load tester, or of several merged.")
	optional(schema)
	return schema
}

// LimitSchema gives the JSON Schema of the result of a search for the limit.
func LimitSchema() *jsonschema.Schema {
	schema := SchemaOf[Limit]("Starling load test limit", "Result of a search for the highest rate that holds.")
	orNothing(schema.Properties["tries"].Items, "p99_ms", "cpu_us_per_action")
	orNothing(schema.Properties["yardstick"].Properties["tries"].Items, "p99_ms", "cpu_us_per_action")
	optional(schema.Properties["runs"].Items)
	return schema
}

// addedToNearest are fields of version 1 that its first files do not have: they
// are always written, and those files are still read.
var addedToNearest = []string{
	"goodput", "actions_missed", "deliveries_missed_30ms", "deliveries_admitted", "admitted_missed",
	"goodput_per_s", "miss_rate_30ms", "admitted_miss_rate", "action_miss_rate",
}

// orNothing lets fields be null: those that their types write so.
func orNothing(schema *jsonschema.Schema, names ...string) {
	for _, name := range names {
		field := schema.Properties[name]
		field.Type, field.Types = "", []string{"null", field.Type}
	}
}

// optional lets a run be without what was added to its form, and figures be null
// where there is nothing to reckon them from.
func optional(run *jsonschema.Schema) {
	nearest := run.Properties["nearest"]
	nearest.Required = slices.DeleteFunc(nearest.Required, func(name string) bool { return slices.Contains(addedToNearest, name) })
	orNothing(run, "latency_ms")
	orNothing(nearest, "latency_ms")
	for _, of := range []string{"server", "yardstick"} {
		orNothing(run.Properties[of], "cpu_us_per_action", "cpu_us_per_delivery")
	}
	orNothing(run.Properties["work"].Items, "mean_ms")
	orNothing(run.Properties["series"].Items, "p50_ms", "p99_ms", "max_ms")
}

// SchemaOf gives the JSON Schema of a result of another kind, with histograms as here.
func SchemaOf[T any](title, description string) *jsonschema.Schema {
	histogram := &jsonschema.Schema{Type: "string", ContentEncoding: "base64", Description: "HdrHistogram V2, compressed, base64"}
	schema, err := jsonschema.For[T](&jsonschema.ForOptions{
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[Histogram](): histogram},
	})
	if err != nil {
		panic(err) // the types are ours: the tests would show it
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title, schema.Description = title, description
	return schema
}

var (
	runSchema   = sync.OnceValue(func() *jsonschema.Resolved { return resolve(Schema()) })
	limitSchema = sync.OnceValue(func() *jsonschema.Resolved { return resolve(LimitSchema()) })
)

func resolve(s *jsonschema.Schema) *jsonschema.Resolved {
	resolved, err := s.Resolve(nil)
	if err != nil {
		panic(err)
	}
	return resolved
}
