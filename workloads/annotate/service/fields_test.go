package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// reference reads a document with encoding/json.
func reference(line []byte) (map[string]any, error) {
	type document struct {
		ID       string  `json:"id"`
		Text     *string `json:"text"`
		Format   string  `json:"format"`
		Workflow string  `json:"workflow"`
		Source   string  `json:"source"`
		Store    bool    `json:"store"`
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); d.Text == nil || err != io.EOF || len(d.ID) > maxID {
		return nil, errNoText
	}
	return map[string]any{"id": d.ID, "text": *d.Text, "format": d.Format, "workflow": d.Workflow, "source": d.Source, "store": d.Store}, nil
}

func read(line []byte) (map[string]any, error) {
	f, err := readFields(bytes.Clone(line))
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": string(f.id), "text": string(f.text), "format": string(f.format), "workflow": string(f.workflow),
		"source": string(f.source), "store": f.store}, nil
}

var documents = []string{
	`{"text":"x"}`, ` { "id" : "a" , "text" : "b" , "store" : true } `, `{"text":"a\"b\\c\/d\n\t\r\b\f"}`, `{"text":"\u00e9\u732b\ud83d\ude00"}`,
	`{"text":"\ud83d"}`, `{"text":"\ud83dx"}`, `{"text":"\ud83d\u0041"}`, `{"text":"\ude00\ud83d"}`, `{"text":"","source":"s","workflow":"w","format":"html"}`,
	`{}`, `{"text":1}`, `{"text":"x","colour":"red"}`, `{"text":"x"`, `{"text":"x`, `{"text":"x\`, `{"text":"\u12"}`, `{"text":"\q"}`, `[]`, ``, `null`, `{"text":"x"} y`,
	`{"text":"x",}`, `{,}`, `{"text" "x"}`, `{"store":false,"text":"x"}`, `{"store":"x","text":"x"}`, "{\"text\":\"a\nb\"}", "{\"text\":\"\x00\"}", `{"text":"x"}}`, `{"text":"x","store":truely}`,
}

func TestFieldsAreThoseOfEncodingJSON(t *testing.T) {
	for _, line := range append(documents, `{"text":"x","id":"`+strings.Repeat("i", 257)+`"}`) {
		agree(t, []byte(line))
	}
	for _, field := range []string{"id", "format", "workflow", "source", "text"} {
		_, err := readFields([]byte(`{"text":"","` + field + "\":\"\x96\"}"))
		if !errors.Is(err, errNotUTF8) || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s is not UTF-8: %v", field, err)
		}
	}
}

func agree(t *testing.T, line []byte) {
	t.Helper()
	got, err := read(line)
	want, wrong := reference(line)
	if (err == nil) != (wrong == nil) {
		t.Fatalf("%q: error %v, encoding/json says %v", line, err, wrong)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q:\n got %v\nwant %v", line, got, want)
	}
}

// FuzzFields: what encoding/json takes is taken and means the same, and nothing else
// is. It is laxer than we are where names differ in case, come as escapes, are
// repeated or null, and where bytes are not UTF-8.
func FuzzFields(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Add([]byte("{\"text\":\"\",\"format\":\"\x96\"}"))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := read(line)
		want, wrong := reference(line)
		if err != nil {
			return
		}
		if wrong != nil {
			t.Fatalf("%q was taken; encoding/json says %v", line, wrong)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q:\n got %v\nwant %v", line, got, want)
		}
	})
}
