package annotate

import (
	"maps"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
	"github.com/starling-vr/starling/loadtest/annotate/corpus"
)

// What is read of an answer's bytes is what its message says.
func TestFatesAreThoseOfTheMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &annotatev1.AnnotateResponse{
			Id: rapid.String().Draw(t, "id"), Workflow: rapid.String().Draw(t, "workflow"), LanguageConfidence: rapid.Float32().Draw(t, "confidence"),
			Late:      rapid.Bool().Draw(t, "late"),
			Functions: rapid.MapOf(rapid.String(), rapid.SampledFrom([]string{"shed", "failed", ""})).Draw(t, "functions"),
			Entities:  []*annotatev1.Entity{{Entity: rapid.Uint64().Draw(t, "entity"), Text: rapid.String().Draw(t, "text")}},
		}
		if rapid.Bool().Draw(t, "refused") {
			m.Error = &annotatev1.Problem{Code: rapid.String().Draw(t, "code"), Message: rapid.String().Draw(t, "message"), RetryAfterMs: 3}
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var f wireFate
		if err := f.read(b); err != nil {
			t.Fatal(err)
		}
		if f.id != m.GetId() || f.answer.Late != m.GetLate() || f.answer.Bytes != len(b) || !maps.Equal(f.answer.Missing, m.GetFunctions()) ||
			f.answer.Code != m.GetError().GetCode() || f.answer.Message != m.GetError().GetMessage() {
			t.Fatalf("%v\n%+v", m, f)
		}
	})
}

// FuzzFates: no bytes break the reading of an answer, and what it takes protobuf takes.
func FuzzFates(f *testing.F) {
	b, err := proto.Marshal(&annotatev1.AnnotateResponse{Id: "1", Functions: map[string]string{"a": "shed"}, Error: &annotatev1.Problem{Code: "too_late"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-2])
	f.Add([]byte{0x0b})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m annotatev1.AnnotateResponse
		var fate wireFate
		if err := fate.read(b); err != nil && proto.Unmarshal(b, &m) == nil {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// Documents over gRPC are those over HTTP.
func TestRequestsAreMessages(t *testing.T) {
	s := Spec{Corpus: corpus.Generated(corpus.Options{Seed: 1, HTMLShare: 0.5}), Words: Words{"uniform", 5, 40}, Seed: 3, Workflow: "w"}
	for number := range 20 {
		var m annotatev1.AnnotateRequest
		if err := proto.Unmarshal(s.appendRequest(nil, number), &m); err != nil {
			t.Fatal(err)
		}
		text, html := s.Corpus.Document(nil, uint64(number), s.Words.Draw(s.Seed, number), false)
		if m.GetId() != strconv.Itoa(number) || string(m.GetText()) != string(text) || (m.GetFormat() == annotatev1.Format_FORMAT_HTML) != html || m.GetWorkflow() != "w" {
			t.Errorf("document %d: %v", number, &m)
		}
	}
}
