package world_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

func text(s string) *starlingv1.Value { return &starlingv1.Value{Is: &starlingv1.Value_Text{Text: s}} }

func opaque(n int) *starlingv1.Value {
	return &starlingv1.Value{Is: &starlingv1.Value_Opaque{Opaque: make([]byte, n)}}
}

func number(f float64) *starlingv1.Value {
	return &starlingv1.Value{Is: &starlingv1.Value_Number{Number: f}}
}

func TestValidateAttribute(t *testing.T) {
	for _, c := range []struct {
		name  string
		value *starlingv1.Value
		good  bool
	}{
		{"a", text(""), true},
		{strings.Repeat("n", 32), text(strings.Repeat("v", 256)), true},
		{"雪", opaque(256), true},
		{"n", number(-0.5), true},
		{"n", &starlingv1.Value{Is: &starlingv1.Value_Integer{Integer: math.MinInt64}}, true},
		{"n", &starlingv1.Value{Is: &starlingv1.Value_Flag{}}, true},
		{"", text("v"), false},
		{strings.Repeat("n", 33), text("v"), false},
		{"\xff", text("v"), false},
		{"n", text(strings.Repeat("v", 257)), false},
		{"n", text("\xc3\x28"), false},
		{"n", opaque(257), false},
		{"n", number(math.NaN()), false},
		{"n", number(math.Inf(-1)), false},
		{"n", &starlingv1.Value{}, false},
		{"n", nil, false},
	} {
		err := world.ValidateAttribute(c.name, c.value)
		if (err == nil) != c.good || err != nil && !errors.Is(err, world.ErrAttribute) {
			t.Errorf("%.40q %.40v: %v", c.name, c.value, err)
		}
	}
}

func TestValidateAttributes(t *testing.T) {
	set := func(n, bytes int) *starlingv1.Attributes {
		a := &starlingv1.Attributes{Values: map[string]*starlingv1.Value{}}
		for i := range n {
			a.Values[fmt.Sprint("name-", i)] = opaque(bytes)
		}
		return a
	}
	for _, c := range []struct {
		name string
		set  *starlingv1.Attributes
		good bool
	}{
		{"nil", nil, true},
		{"empty", &starlingv1.Attributes{}, true},
		{"as many as may be", set(32, 40), true},
		{"one too many", set(33, 1), false},
		{"too large in all", set(32, 60), false},
		{"one bad", &starlingv1.Attributes{Values: map[string]*starlingv1.Value{"n": nil}}, false},
	} {
		err := world.ValidateAttributes(c.set)
		if (err == nil) != c.good || err != nil && !errors.Is(err, world.ErrAttribute) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
