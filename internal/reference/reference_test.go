package reference

import (
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

func TestFieldsDescribeObjectsWithinObjects(t *testing.T) {
	number := &jsonschema.Schema{Type: "number", Description: "how long"}
	inner := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{"s": number}, PropertyOrder: []string{"s"}, Required: []string{"s"}}
	got := Fields(&jsonschema.Schema{
		Properties: map[string]*jsonschema.Schema{
			"a": {Types: []string{"null", "array"}, Items: inner}, "b": inner, "c": {Types: []string{"null", "integer"}},
		},
		PropertyOrder: []string{"a", "b", "c"}, Required: []string{"a"},
	})
	for _, want := range []string{
		"| `a` | array |", "| `b` | object, optional |", "| `c` | integer or null, optional |", "### a[]\n", "| `s` | number | how long |", "### b\n\nAs a[].\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestTheFirstDifferenceIsNamed(t *testing.T) {
	for _, c := range []struct{ got, want, says string }{
		{"a\nb\n", "a\nc\n", "line 2 has\n  b\nwant\n  c"},
		{"a", "a\nc", "line 2 has\n  (nothing)\nwant\n  c"},
		{"a\nb\nc", "a", "2 lines too many"},
	} {
		if says := Difference(c.got, c.want); says != c.says {
			t.Errorf("%q against %q: %q", c.got, c.want, says)
		}
	}
}
