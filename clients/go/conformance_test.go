package starling_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/clients/conformance"
	starling "github.com/starling-vr/starling/clients/go"
)

// TestConformance plays the script that all client libraries play.
func TestConformance(t *testing.T) {
	scenarios, err := conformance.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	server := conformance.NewServer(scenarios)
	url, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		server.Wait()
	})
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				r := &runner{t: t, http: &http.Client{Transport: transport}, control: url}
				r.play(s.Name)
			})
		}
	})
	if passed, results := server.Results(); !passed && !t.Failed() {
		t.Errorf("not every scenario was run and passed: %v", results)
	}
}

// runner turns the script's commands into calls of the client, and the client's
// callbacks into reports.
type runner struct {
	t       *testing.T
	http    *http.Client
	control string
	run     string
	url     string

	connecting sync.WaitGroup
	sending    sync.WaitGroup
	reports    chan json.RawMessage

	mu     sync.Mutex
	client *starling.Client
	cancel context.CancelFunc
	ready  chan struct{}
}

type object = map[string]any

func (r *runner) post(path string, body, into any) {
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := r.http.Post(r.control+path, "application/json", bytes.NewReader(text))
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		r.t.Fatal(path, err)
	}
}

func (r *runner) play(name string) {
	var begun struct{ Run, URL string }
	r.post("/runs", object{"scenario": name}, &begun)
	r.run, r.url = begun.Run, begun.URL
	r.ready = make(chan struct{})
	r.reports = make(chan json.RawMessage, 1024)
	r.sending.Go(r.sendReports)
	var reply any
	for {
		var next struct {
			Wait    bool
			End     *conformance.Result
			Command json.RawMessage
		}
		body := object{}
		if reply != nil {
			body["reply"] = reply
		}
		r.post("/runs/"+r.run+"/next", body, &next)
		reply = nil
		if next.End != nil {
			if !next.End.Passed {
				r.t.Error(next.End.Failures)
			}
			break
		}
		if next.Command != nil {
			reply = r.do(next.Command)
		}
	}
	r.close()
}

func (r *runner) close() {
	r.mu.Lock()
	if r.cancel != nil {
		r.cancel()
	}
	r.mu.Unlock()
	r.connecting.Wait()
	if r.client != nil {
		r.client.Close()
		<-r.client.Done()
	}
	close(r.reports)
	r.sending.Wait()
}

func (r *runner) report(report object) {
	text, err := json.Marshal(report)
	if err != nil {
		panic(err)
	}
	r.reports <- text
}

func (r *runner) sendReports() {
	for report := range r.reports {
		r.post("/runs/"+r.run+"/reports", []json.RawMessage{report}, &struct{}{})
	}
}

type command struct {
	Op         string
	Token      string
	Tokens     []string
	Ring       *uint32
	Place      string
	Start      json.RawMessage
	Attributes json.RawMessage
	JSON       bool
	Reconnect  struct {
		First int `json:"first_ms"`
		Most  int `json:"most_ms"`
	}
	Tag     string
	Act     json.RawMessage
	Samples json.RawMessage
	AtMS    int64 `json:"at_ms"`
}

func (r *runner) do(text json.RawMessage) any {
	var c command
	if err := json.Unmarshal(text, &c); err != nil {
		r.t.Fatal(err)
	}
	switch c.Op {
	case "connect":
		r.connect(c)
	case "act":
		r.act(c)
	case "interest":
		<-r.ready
		r.client.Watch(*c.Ring)
	case "view":
		<-r.ready
		return viewOf(r.client)
	case "clock":
		<-r.ready
		return clockReply(r.client.Clock())
	case "close":
		<-r.ready
		r.client.Close()
	case "offset":
		return clockReply(r.offset(c.Samples))
	case "interpolate":
		return r.interpolate(c)
	default:
		r.t.Fatalf("unknown command %q", c.Op)
	}
	return object{}
}

func clockReply(c starling.Clock) object {
	return object{"known": c.Known, "offset_us": c.Offset.Microseconds(), "round_trip_us": c.RoundTrip.Microseconds()}
}

func (r *runner) connect(c command) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	options := r.options(c)
	r.connecting.Go(func() {
		client, err := starling.Dial(ctx, r.url, options)
		if err != nil {
			r.report(object{"kind": "closed", "code": codeOf(err)})
			return
		}
		r.client = client
		close(r.ready)
		<-client.Done()
		r.report(object{"kind": "closed", "code": codeOf(client.Err())})
	})
}

func (r *runner) options(c command) starling.Options {
	tokens := c.Tokens
	if c.Token != "" {
		tokens = []string{c.Token}
	}
	o := starling.Options{
		Token: func(context.Context) (string, error) {
			token := tokens[0]
			if len(tokens) > 1 {
				tokens = tokens[1:]
			}
			return token, nil
		},
		Ring: 1, JSON: c.JSON,
		Reconnect: starling.Backoff{First: time.Duration(c.Reconnect.First) * time.Millisecond, Most: time.Duration(c.Reconnect.Most) * time.Millisecond},
		OnSession: func(s starling.Session) {
			r.report(object{"kind": "session", "session": decimal(s.ID), "avatar": decimal(s.Avatar), "resumed": s.Resumed,
				"place": decimal(s.Place), "ring": s.Ring, "gateway": s.Gateway})
		},
		OnDisconnect: func(err error) { r.report(object{"kind": "disconnected", "code": codeOf(err)}) },
		OnEvent: func(cell uint64, event *starlingv1.Event) {
			r.report(object{"kind": "event", "cell": decimal(cell), "event": toJSON(event)})
		},
		OnMissed: func(cell uint64, events uint32) {
			r.report(object{"kind": "missed", "cell": decimal(cell), "count": events})
		},
		OnNotice: func(n *starlingv1.Notice) { r.report(object{"kind": "notice", "notice": toJSON(n)}) },
	}
	if c.Ring != nil {
		o.Ring = *c.Ring
	}
	o.Place, _ = strconv.ParseUint(c.Place, 10, 64)
	if c.Start != nil {
		o.Start = new(starlingv1.Position)
		r.fromJSON(c.Start, o.Start)
	}
	if c.Attributes != nil {
		o.Attributes = new(starlingv1.Attributes)
		r.fromJSON(c.Attributes, o.Attributes)
	}
	return o
}

func (r *runner) act(c command) {
	act := new(starlingv1.Act)
	r.fromJSON(c.Act, act)
	<-r.ready
	err := r.client.Do(act, func(o starling.Outcome) {
		var unknown *starling.UnknownFateError
		if errors.As(o.Err, &unknown) || errors.Is(o.Err, starling.ErrNotSent) {
			r.report(object{"kind": "failed", "tag": c.Tag, "error": "unknown_fate"})
			return
		}
		r.report(object{"kind": "outcome", "tag": c.Tag, "outcome": toJSON(&starlingv1.Outcome{
			Number: o.Number, Code: o.Code, Message: o.Message, Entity: o.Entity, Result: o.Result, Repeated: o.Repeated,
		})})
	})
	if err != nil {
		r.t.Error(err)
	}
}

func (r *runner) offset(samples json.RawMessage) starling.Clock {
	var list []starling.ClockSample
	if err := json.Unmarshal(samples, &list); err != nil {
		r.t.Fatal(err)
	}
	return starling.EstimateClock(list)
}

func (r *runner) interpolate(c command) any {
	var list []struct {
		AtMS int64 `json:"at_ms"`
		Pose json.RawMessage
	}
	if err := json.Unmarshal(c.Samples, &list); err != nil {
		r.t.Fatal(err)
	}
	var track starling.Track
	for _, s := range list {
		pose := new(starlingv1.Pose)
		r.fromJSON(s.Pose, pose)
		track.Add(time.UnixMilli(s.AtMS), pose)
	}
	return object{"pose": toJSON(track.At(time.UnixMilli(c.AtMS)))}
}

func viewOf(c *starling.Client) object {
	var found []starling.Entity
	c.Entities(func(e starling.Entity) bool { found = append(found, e); return true })
	slices.SortFunc(found, func(a, b starling.Entity) int { return compare(a.ID, b.ID) })
	entities := []object{}
	for _, e := range found {
		entities = append(entities, object{"entity": decimal(e.ID), "cell": decimal(e.Cell), "version": toJSON(e.Version), "kind": e.Kind,
			"pose": toJSON(e.Pose), "holder": decimal(e.Holder), "attributes": attributes(e.Attributes), "frozen": e.Frozen})
	}
	states := c.Cells()
	slices.SortFunc(states, func(a, b starling.CellState) int { return compare(a.Cell, b.Cell) })
	cells := []object{}
	for _, s := range states {
		cells = append(cells, object{"cell": decimal(s.Cell), "place": decimal(s.Place), "epoch": s.Epoch, "sequence": decimal(s.Sequence), "watchers": s.Watchers, "thinned": s.Thinned})
	}
	return object{"entities": entities, "cells": cells}
}

func attributes(a *starlingv1.Attributes) any {
	if a == nil {
		return nil
	}
	return toJSON(a)
}

func compare(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func toJSON(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

func (r *runner) fromJSON(text []byte, m proto.Message) {
	if err := protojson.Unmarshal(text, m); err != nil {
		r.t.Fatal(err)
	}
}

func codeOf(err error) int {
	var closed *starling.CloseError
	switch {
	case errors.As(err, &closed):
		return int(closed.Code)
	case errors.Is(err, starling.ErrClosed):
		return 1000
	}
	return 1006
}
