package conformance_test

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/clients/conformance"
)

func TestScenariosAreValid(t *testing.T) {
	scenarios, err := conformance.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	if len(scenarios) < 50 {
		t.Fatalf("only %d scenarios", len(scenarios))
	}
	for _, s := range scenarios {
		if s.About == "" {
			t.Errorf("%s does not say what it is about", s.Name)
		}
		for i, step := range s.Steps {
			for _, text := range step.Send {
				var m starlingv1.ServerMessage
				if err := protojson.Unmarshal(text, &m); err != nil {
					t.Errorf("%s, step %d: %v", s.Name, i+1, err)
				}
			}
		}
	}
}

func TestParseRefusesTwoThingsInOneStep(t *testing.T) {
	_, err := conformance.Parse("x", []byte(`{"name":"x","about":"","steps":[{"drop":true,"closed":true}]}`))
	if err == nil {
		t.Fatal("no error")
	}
	_, err = conformance.Parse("x", []byte(`{"name":"x","about":"","steps":[{"dorp":true}]}`))
	if err == nil {
		t.Fatal("no error for an unknown field")
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, value string
		fits           bool
	}{
		{`{"a":1}`, `{"a":1,"b":2}`, true},
		{`{"a":1}`, `{"a":2}`, false},
		{`{"a":{"b":"x"}}`, `{"a":{"b":"x","c":0}}`, true},
		{`{"a":{"b":"x"}}`, `{"a":"x"}`, false},
		{`[{"a":1}]`, `[{"a":1,"b":1}]`, true},
		{`[{"a":1}]`, `[{"a":1},{"a":1}]`, false},
		{`[]`, `[]`, true},
		{`{"a":[]}`, `{}`, true},
		{`[]`, `[1]`, false},
		{`{"a":{"$any":true}}`, `{"a":0}`, true},
		{`{"a":{"$any":true}}`, `{}`, false},
		{`{"a":{"$absent":true}}`, `{}`, true},
		{`{"a":{"$absent":true}}`, `{"a":"0"}`, true},
		{`{"a":{"$absent":true}}`, `{"a":"7"}`, false},
		{`{"a":{"$absent":true}}`, `{"a":{}}`, true},
		{`{"a":{"$near":5,"$within":0.5}}`, `{"a":5.4}`, true},
		{`{"a":{"$near":5,"$within":0.5}}`, `{"a":5.6}`, false},
		{`{"a":{"$near":0,"$within":0.5}}`, `{}`, true},
		{`{"a":{"$near":0,"$within":0.5}}`, `{"a":"0"}`, false},
		{`{"a":{"$not":"x"}}`, `{"a":"y"}`, true},
		{`{"a":{"$not":"x"}}`, `{"a":"x"}`, false},
	}
	for _, test := range tests {
		err := conformance.Match(json.RawMessage(test.pattern), json.RawMessage(test.value))
		if (err == nil) != test.fits {
			t.Errorf("%s against %s: %v", test.pattern, test.value, err)
		}
	}
}
