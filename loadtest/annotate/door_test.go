package annotate

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/annotate/corpus"
)

// TestAnswersAreReadFromTheirEnd holds the reading of an answer's end against the
// decoding of all of it.
func TestAnswersAreReadFromTheirEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.IntRange(0, 999_999).Draw(t, "id")
		text, _ := json.Marshal(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`,"late":true`, `{"functions":{"a":"shed"}`, `"error":`})).Draw(t, "text"))
		functions := rapid.MapOfN(rapid.SampledFrom([]string{"summary", "keyphrases", "speech"}), rapid.SampledFrom([]string{"shed", "skipped", "failed"}), 0, 3).Draw(t, "functions")
		late := rapid.Bool().Draw(t, "late")
		code := rapid.SampledFrom([]string{"", "function_failed", "too_late"}).Draw(t, "code")
		line := fmt.Sprintf(`{"id":"%d","workflow":"default","sentences":[{"start":0,"end":4}],"summary":[{"text":%s}]`, id, text)
		if len(functions) > 0 {
			object, _ := json.Marshal(functions)
			line += `,"functions":` + string(object)
		}
		line += fmt.Sprintf(`,"late":%t,"took_us":17`, late)
		if code != "" {
			line += fmt.Sprintf(`,"error":{"code":%q,"message":%s}`, code, text)
		}
		line += "}"
		number, a, err := readAnswer([]byte(line))
		if err != nil || number != id || a.Late != late || a.Code != code || a.Bytes != len(line) || !maps.Equal(a.Missing, functions) {
			t.Fatalf("%s: number %d, %+v, %v", line, number, a, err)
		}
	})
}

func TestRefusalsAreRead(t *testing.T) {
	number, a, err := readAnswer([]byte(`{"id":"12","workflow":"default","line":3,"error":{"code":"too_late","message":"","retry_after_ms":5}}`))
	if err != nil || number != 12 || a.Code != "too_late" {
		t.Errorf("number %d, %+v, %v", number, a, err)
	}
	for _, line := range []string{`{"id":"12","late":`, `{"id":"x","late":false,"took_us":1}`, `no`, ``} {
		if _, _, err := readAnswer([]byte(line)); err == nil {
			t.Errorf("%q was read", line)
		}
	}
}

// TestPreparedDocumentsAreTheSame as those that are made when they are due.
func TestPreparedDocumentsAreTheSame(t *testing.T) {
	s := Spec{Corpus: corpus.Generated(corpus.Options{Seed: 1, HTMLShare: 0.2}), Words: Words{"uniform", 5, 40}, Seed: 3, documents: 50}
	for connection := range 3 {
		p := prepare(&s, connection, 3, s.appendDocument)
		for number := connection; number < 60; number += 3 { // those above 50 were not made
			if got, want := p.append(nil, number), s.appendDocument(nil, number); string(got) != string(want) {
				t.Fatalf("document %d: %s, want %s", number, got, want)
			}
		}
	}
}
