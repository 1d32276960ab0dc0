package trigger

import (
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema gives the JSON Schema (2020-12) of a Result.
var Schema = sync.OnceValue(func() *jsonschema.Schema {
	schema, err := jsonschema.For[Result](nil)
	if err != nil {
		panic(err) // the types are ours: the tests would show it
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title, schema.Description = "Starling trigger load test", "Result of one load test of the trigger."
	return schema
})
