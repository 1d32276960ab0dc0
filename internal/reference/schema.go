package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// SchemaUpToDate does as UpToDate for a file that holds a JSON Schema.
func SchemaUpToDate(t testing.TB, name string, s *jsonschema.Schema) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	UpToDate(t, name, out.String()+"\n")
}

// Fields gives the table of an object's fields in Markdown, and those of the objects
// in it under headings of their own. Objects with the same fields are described once.
func Fields(s *jsonschema.Schema) string {
	var b strings.Builder
	fields(&b, "", s)
	return b.String()
}

func fields(b *strings.Builder, within string, s *jsonschema.Schema) {
	if within != "" {
		fmt.Fprintf(b, "\n### %s\n", within)
	}
	b.WriteString("\n| Field | Type | Meaning |\n| --- | --- | --- |\n")
	type nested struct {
		name string
		of   *jsonschema.Schema
	}
	var below []nested
	prefix := ""
	if within != "" {
		prefix = within + "."
	}
	for _, name := range s.PropertyOrder {
		p := s.Properties[name]
		optional := ""
		if !slices.Contains(s.Required, name) {
			optional = ", optional"
		}
		fmt.Fprintf(b, "| `%s` | %s%s | %s |\n", name, typeOf(p), optional, p.Description)
		switch {
		case len(p.Properties) > 0:
			below = append(below, nested{prefix + name, p})
		case p.Items != nil && len(p.Items.Properties) > 0:
			below = append(below, nested{prefix + name + "[]", p.Items})
		}
	}
	known := make(map[string]string)
	for _, n := range below {
		shape := strings.Join(n.of.PropertyOrder, " ")
		if same := known[shape]; same != "" {
			fmt.Fprintf(b, "\n### %s\n\nAs %s.\n", n.name, same)
			continue
		}
		known[shape] = n.name
		fields(b, n.name, n.of)
	}
}

func typeOf(s *jsonschema.Schema) string {
	types := s.Types
	if s.Type != "" {
		types = []string{s.Type}
	}
	types = slices.Clone(types)
	if s.Items != nil { // arrays are written as such, never as null
		types = slices.DeleteFunc(types, func(t string) bool { return t == "null" })
	}
	slices.SortStableFunc(types, func(a, b string) int { // null last
		switch {
		case a == b:
			return 0
		case a == "null":
			return 1
		case b == "null":
			return -1
		}
		return 0
	})
	return strings.Join(types, " or ")
}
