package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Write writes one run as an object, several as an array of them.
func Write(w io.Writer, runs ...Run) error {
	var document any = runs
	if len(runs) == 1 {
		document = &runs[0]
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// WriteFile writes runs to a file, whole or not at all; "-" is standard output.
func WriteFile(path string, runs ...Run) error {
	return writeDocument(path, func(w io.Writer) error { return Write(w, runs...) })
}

// WriteLimit writes the result of a search to a file; "-" is standard output.
func WriteLimit(path string, l *Limit) error {
	l.Format, l.Version = LimitFormat, Version
	return writeDocument(path, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(l)
	})
}

func writeDocument(path string, write func(io.Writer) error) error {
	if path == "-" {
		return write(os.Stdout)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return replaceFile(path, b.Bytes())
}

// replaceFile writes a file beside path and renames it, so that nobody reads half.
// A device or a pipe is written to.
func replaceFile(path string, data []byte) error {
	if special(path) {
		return os.WriteFile(path, data, 0o644)
	}
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// ReadFile reads the runs of a file; "-" is standard input.
func ReadFile(path string) ([]Run, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	runs, err := Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return runs, nil
}

// mostBytes bounds a file: a run has a few 100 kB.
const mostBytes = 256 << 20

// Read reads runs: objects or arrays of them, one after another; of the result
// of a search, its runs. A file of another kind, of a newer version, with
// unknown or missing fields, or with counts that contradict each other is an
// error that says which.
func Read(r io.Reader) ([]Run, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > mostBytes {
		return nil, fmt.Errorf("more than %d MiB: no result of a load test", mostBytes>>20)
	}
	var runs []Run
	for decoder := json.NewDecoder(bytes.NewReader(data)); ; {
		var document json.RawMessage
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, notJSON(err)
		}
		found, err := readDocument(document)
		if err != nil {
			return nil, err
		}
		runs = append(runs, found...)
	}
	if len(runs) == 0 {
		return nil, errors.New("holds no run of the load tester")
	}
	return runs, nil
}

func notJSON(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends in the middle: the file is not whole")
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("no JSON: at byte %d: %v", syntax.Offset, syntax)
	}
	return fmt.Errorf("no JSON: %w", err)
}

func readDocument(document json.RawMessage) ([]Run, error) {
	if document[0] == '[' {
		var each []json.RawMessage
		if err := json.Unmarshal(document, &each); err != nil {
			return nil, notJSON(err)
		}
		runs := make([]Run, len(each))
		for i, d := range each {
			if err := readRun(d, &runs[i]); err != nil {
				return nil, fmt.Errorf("run %d: %w", i+1, err)
			}
		}
		return runs, nil
	}
	if kind(document) == LimitFormat {
		return readLimit(document)
	}
	runs := make([]Run, 1)
	return runs, readRun(document, &runs[0])
}

// kind reads the format of a document; "" if it names none.
func kind(document json.RawMessage) string {
	var head struct {
		Format string `json:"format"`
	}
	_ = json.Unmarshal(document, &head)
	return head.Format
}

func readLimit(document json.RawMessage) ([]Run, error) {
	if err := rightForm(document, LimitFormat); err != nil {
		return nil, err
	}
	var l Limit
	if err := strictly(document, &l); err != nil {
		return nil, err
	}
	if l.Interrupted && len(l.Runs) == 0 {
		return nil, errors.New("is the result of a search that was interrupted: it has no runs")
	}
	if len(l.Runs) == 0 {
		return nil, errors.New("is the result of a search that found no rate that holds: it has no runs")
	}
	for i := range l.Runs {
		if err := l.Runs[i].check(); err != nil {
			return nil, fmt.Errorf("run %d: %w", i+1, err)
		}
	}
	return l.Runs, nil
}

func readRun(document json.RawMessage, r *Run) error {
	if err := rightForm(document, Format); err != nil {
		return err
	}
	if err := strictly(document, r); err != nil {
		return err
	}
	return r.check()
}

// rightForm tells a foreign document and a newer version from ours.
func rightForm(document json.RawMessage, want string) error {
	var head struct {
		Format  string  `json:"format"`
		Version float64 `json:"version"`
	}
	switch err := json.Unmarshal(document, &head); {
	case err != nil || head.Format != want:
		return fmt.Errorf("is no result of the load tester: want an object with \"format\": %q, as `starling loadtest crowd --json` writes it", want)
	case head.Version > Version:
		return fmt.Errorf("was written by a newer Starling (version %v of the form, this one reads up to %d): read it with that one", head.Version, Version)
	case head.Version != Version:
		return fmt.Errorf("has version %v of the form, want %d", head.Version, Version)
	}
	return nil
}

// strictly reads a document that has all required fields and no unknown ones.
func strictly(document json.RawMessage, into any) error {
	var loose any
	if err := json.Unmarshal(document, &loose); err != nil {
		return notJSON(err)
	}
	resolved := runSchema
	if _, limit := into.(*Limit); limit {
		resolved = limitSchema
	}
	if err := resolved().Validate(loose); err != nil {
		return fmt.Errorf("is not as docs/reference/loadtest-json.md says: %s", lastOf(err))
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// lastOf drops the names of schemas that led to the fault.
func lastOf(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, "validating /properties/"); at >= 0 {
		return strings.TrimPrefix(text[at:], "validating /properties/")
	}
	return text
}

// check refuses what no load test can have measured.
func (r *Run) check() error {
	if r.Runs < 1 {
		return fmt.Errorf("runs is %d, want 1 or more", r.Runs)
	}
	if r.Histograms.LatencyUS == nil {
		return errors.New("has no histograms.latency_us")
	}
	if err := r.Counts.Check(); err != nil {
		return err
	}
	for i := range r.Series {
		if err := r.Series[i].Counts.Check(); err != nil {
			return fmt.Errorf("series[%d]: %w", i, err)
		}
	}
	return nil
}
