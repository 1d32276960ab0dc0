package report

import (
	"reflect"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema gives the JSON Schema (2020-12) of a run.
func Schema() *jsonschema.Schema {
	return SchemaOf[Run]("Starling load test run", "Result of one run of the load tester, or of several merged.")
}

// LimitSchema gives the JSON Schema of the result of a search for the limit.
func LimitSchema() *jsonschema.Schema {
	return SchemaOf[Limit]("Starling load test limit", "Result of a search for the highest rate that holds.")
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
