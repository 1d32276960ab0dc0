// Package conformance is one script for all client libraries: scenarios in
// JSON, and a server that plays the gateway's side of each and says whether the
// client behaved. README.md tells how to write the runner of a client.
package conformance

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

//go:embed scenarios/*.json
var files embed.FS

// Scenario is one script.
type Scenario struct {
	Name     string   `json:"name"`               // the file's name without .json
	About    string   `json:"about"`              // what a client must do, and why
	Protocol string   `json:"protocol,omitempty"` // "proto" (default) or "json"
	Clock    Clock    `json:"clock,omitzero"`
	Steps    []Step   `json:"steps"`
	Tags     []string `json:"tags,omitempty"`
}

// Clock says how the server answers pings.
type Clock struct {
	SkewMicros int64 `json:"skew_us,omitempty"` // added to its time of day
	Mute       bool  `json:"mute,omitempty"`    // answers none
}

// Step is one thing that the server does or waits for. Exactly one of the
// fields up to Garbage is set; the others qualify it.
type Step struct {
	Command      json.RawMessage   `json:"command,omitempty"`       // handed to the runner
	Query        json.RawMessage   `json:"query,omitempty"`         // too; its reply must match Reply, within WithinMS
	Accept       *Accept           `json:"accept,omitempty"`        // the next websocket connection
	Reject       int               `json:"reject,omitempty"`        // answers the next connection with this HTTP status
	Send         []json.RawMessage `json:"send,omitempty"`          // ServerMessages
	Receive      json.RawMessage   `json:"receive,omitempty"`       // the next ClientMessage that is no ping
	ReceivePing  bool              `json:"receive_ping,omitempty"`  // at least one ping since the connection began
	Report       json.RawMessage   `json:"report,omitempty"`        // the next report of its kind
	NoReport     json.RawMessage   `json:"no_report,omitempty"`     // none such for ForMS
	NoReceive    bool              `json:"no_receive,omitempty"`    // no ClientMessage but pings for ForMS
	NoConnection bool              `json:"no_connection,omitempty"` // no connection for ForMS
	Drop         bool              `json:"drop,omitempty"`          // cuts the connection without a close frame
	Close        *Close            `json:"close,omitempty"`
	Closed       bool              `json:"closed,omitempty"`  // the client closed its connection
	Garbage      string            `json:"garbage,omitempty"` // hexadecimal, sent as one message

	Reply    json.RawMessage `json:"reply,omitempty"`
	AfterMS  int             `json:"after_ms,omitempty"`  // must not happen sooner after the step before
	WithinMS int             `json:"within_ms,omitempty"` // nor later; default 5000
	ForMS    int             `json:"for_ms,omitempty"`    // default 200
}

// Accept takes a connection and its Hello.
type Accept struct {
	Hello json.RawMessage `json:"hello,omitempty"` // pattern
}

// Close ends a connection with a code.
type Close struct {
	Code   int    `json:"code"`
	Reason string `json:"reason,omitempty"`
}

func (s Step) within() time.Duration { return milliseconds(s.WithinMS, 5000) }
func (s Step) quiet() time.Duration  { return milliseconds(s.ForMS, 200) }

func milliseconds(n, unset int) time.Duration {
	if n == 0 {
		n = unset
	}
	return time.Duration(n) * time.Millisecond
}

// actions counts what the step asks for: a valid step has one.
func (s Step) actions() int {
	n := 0
	for _, set := range []bool{s.Command != nil, s.Query != nil, s.Accept != nil, s.Reject != 0, s.Send != nil, s.Receive != nil,
		s.ReceivePing, s.Report != nil, s.NoReport != nil, s.NoReceive, s.NoConnection, s.Drop, s.Close != nil, s.Closed, s.Garbage != ""} {
		if set {
			n++
		}
	}
	return n
}

// Scenarios gives all scenarios, in the order of their names.
func Scenarios() ([]Scenario, error) {
	names, err := fs.Glob(files, "scenarios/*.json")
	if err != nil {
		return nil, err
	}
	var all []Scenario
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(strings.TrimSuffix(path.Base(name), ".json"), text)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Parse reads one scenario; unknown fields are an error.
func Parse(name string, text []byte) (Scenario, error) {
	s := Scenario{Name: name}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, fmt.Errorf("scenario %s: %w", name, err)
	}
	if s.Name != name {
		return s, fmt.Errorf("scenario %s calls itself %q", name, s.Name)
	}
	for i, step := range s.Steps {
		if n := step.actions(); n != 1 {
			return s, fmt.Errorf("scenario %s, step %d: asks for %d things, not one", name, i+1, n)
		}
	}
	return s, nil
}
