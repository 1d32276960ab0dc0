package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Server plays scenarios against clients. It is an http.Handler:
//
//	GET  /scenarios          the scenarios: [{"name", "about", "protocol"}]
//	POST /runs               {"scenario": NAME} begins one: {"run": ID, "url": "ws://…"}
//	POST /runs/ID/next       {"reply": …} answers the last command and waits for the next one
//	POST /runs/ID/reports    a JSON array of what the client told its application
//	GET  /result             all runs: {"passed", "runs": […]}
type Server struct {
	mux       *http.ServeMux
	scenarios []Scenario
	upgrader  websocket.Upgrader

	mu   sync.Mutex
	runs map[string]*run
	list []*run
	all  sync.WaitGroup
}

// NewServer makes a server of the given scenarios.
func NewServer(scenarios []Scenario) *Server {
	s := &Server{
		mux: http.NewServeMux(), scenarios: scenarios, runs: make(map[string]*run),
		upgrader: websocket.Upgrader{
			Subprotocols: []string{subprotocolProto, subprotocolJSON},
			CheckOrigin:  func(*http.Request) bool { return true },
		},
	}
	s.mux.HandleFunc("GET /scenarios", s.getScenarios)
	s.mux.HandleFunc("POST /runs", s.postRuns)
	s.mux.HandleFunc("POST /runs/{id}/next", s.postNext)
	s.mux.HandleFunc("POST /runs/{id}/reports", s.postReports)
	s.mux.HandleFunc("GET /result", s.getResult)
	s.mux.HandleFunc("GET /ws/{id}", s.serveWebsocket)
	return s
}

// Wait returns when every script that began has ended.
func (s *Server) Wait() { s.all.Wait() }

// ServeHTTP is the control surface and the websocket endpoint. Pages of any
// origin may use it, so that a client can be run inside a browser.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	if r.Method == http.MethodOptions {
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) getScenarios(w http.ResponseWriter, _ *http.Request) {
	type entry struct {
		Name     string `json:"name"`
		About    string `json:"about"`
		Protocol string `json:"protocol"`
	}
	list := []entry{}
	for _, one := range s.scenarios {
		list = append(list, entry{one.Name, one.About, one.protocol()})
	}
	writeJSON(w, list)
}

func (s Scenario) protocol() string {
	if s.Protocol == "" {
		return "proto"
	}
	return s.Protocol
}

func (s *Server) postRuns(w http.ResponseWriter, r *http.Request) {
	var wish struct {
		Scenario string `json:"scenario"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&wish); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, scenario := range s.scenarios {
		if scenario.Name == wish.Scenario {
			one := s.begin(scenario)
			writeJSON(w, map[string]string{"run": one.id, "url": "ws://" + r.Host + "/ws/" + one.id})
			return
		}
	}
	http.Error(w, fmt.Sprintf("no scenario %q", wish.Scenario), http.StatusNotFound)
}

func (s *Server) begin(scenario Scenario) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := newRun(strconv.Itoa(len(s.list)+1), scenario)
	s.runs[one.id] = one
	s.list = append(s.list, one)
	s.all.Go(one.play)
	return one
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.runs[r.PathValue("id")]
	if one == nil {
		http.Error(w, "no such run", http.StatusNotFound)
	}
	return one
}

// postNext takes the reply to the last command and gives the next one, or the
// verdict: {"id", "command"} or {"end": {"passed", …}}. A command that nobody
// asked for within 20 s of waiting is {"wait": true}: ask again.
func (s *Server) postNext(w http.ResponseWriter, r *http.Request) {
	one := s.find(w, r)
	if one == nil {
		return
	}
	var body struct {
		Reply json.RawMessage `json:"reply"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<24)).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if body.Reply != nil {
		select {
		case one.replies <- body.Reply:
		default:
			http.Error(w, "a reply to no command", http.StatusConflict)
			return
		}
	}
	select {
	case command := <-one.commands:
		writeJSON(w, map[string]json.RawMessage{"command": command})
	case <-one.done:
		writeJSON(w, map[string]Result{"end": one.result})
	case <-time.After(20 * time.Second):
		writeJSON(w, map[string]bool{"wait": true})
	case <-r.Context().Done():
	}
}

func (s *Server) postReports(w http.ResponseWriter, r *http.Request) {
	one := s.find(w, r)
	if one == nil {
		return
	}
	var reports []json.RawMessage
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<24)).Decode(&reports); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	one.addReports(reports)
	writeJSON(w, struct{}{})
}

func (s *Server) getResult(w http.ResponseWriter, _ *http.Request) {
	passed, results := s.Results()
	writeJSON(w, map[string]any{"passed": passed, "runs": results})
}

// Results gives the verdicts so far; passed means that each scenario was run
// and all runs passed.
func (s *Server) Results() (passed bool, results []Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	played := make(map[string]bool)
	passed, results = true, []Result{}
	for _, one := range s.list {
		one.mu.Lock()
		results = append(results, one.result)
		passed = passed && one.result.Passed
		played[one.scenario.Name] = true
		one.mu.Unlock()
	}
	return passed && len(played) == len(s.scenarios), results
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the runner went away: its own test fails
}

// serveWebsocket holds a connection until the script decides about it.
func (s *Server) serveWebsocket(w http.ResponseWriter, r *http.Request) {
	one := s.find(w, r)
	if one == nil {
		return
	}
	c := &connection{
		verdict: make(chan int, 1), ready: make(chan error, 1),
		received: make(chan json.RawMessage, 1024), pings: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	select {
	case one.waiting <- c:
	case <-one.done:
		http.Error(w, "the run is over", http.StatusGone)
		return
	}
	select {
	case status := <-c.verdict:
		if status != http.StatusSwitchingProtocols {
			http.Error(w, "rejected by the scenario", status)
			return
		}
	case <-one.done:
		http.Error(w, "the run is over", http.StatusGone)
		return
	case <-r.Context().Done():
		return
	}
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err == nil {
		err = checkSubprotocol(ws, one.scenario.protocol())
	}
	if err == nil {
		c.ws, c.json = ws, ws.Subprotocol() == subprotocolJSON
	}
	c.ready <- err
	if err != nil {
		return
	}
	one.read(c)
}

func checkSubprotocol(ws *websocket.Conn, want string) error {
	if got := ws.Subprotocol(); got != "starling.v1."+want {
		ws.Close()
		return fmt.Errorf("subprotocol %q, not starling.v1.%s", got, want)
	}
	return nil
}

// read takes messages until the connection ends. Pings are answered here.
func (r *run) read(c *connection) {
	defer c.ws.Close()
	defer close(c.gone)
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		var m starlingv1.ClientMessage
		if c.json != (kind == websocket.TextMessage) {
			err = errors.New("text and binary messages are mixed up")
		} else if c.json {
			err = protojson.Unmarshal(data, &m)
		} else {
			err = proto.Unmarshal(data, &m)
		}
		if err != nil {
			r.pass(c, json.RawMessage(strconv.Quote("undecodable message: "+err.Error())))
			return
		}
		if ping := m.GetPing(); ping != nil {
			r.answer(c, ping)
			continue
		}
		text, err := protojson.Marshal(&m)
		if err != nil {
			return
		}
		r.pass(c, text)
	}
}

func (r *run) pass(c *connection, message json.RawMessage) {
	select {
	case c.received <- message:
	case <-r.done:
	}
}

func (r *run) answer(c *connection, ping *starlingv1.Ping) {
	select {
	case c.pings <- struct{}{}:
	default:
	}
	if r.scenario.Clock.Mute {
		return
	}
	now := time.Now().UnixMicro() + r.scenario.Clock.SkewMicros
	_ = c.write1(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Pong{Pong: &starlingv1.Pong{
		ClientTimeUs: ping.ClientTimeUs, ServerTimeUs: uint64(now),
	}}}) // a cut connection shows in the next read
}

// Listen serves on an address ("127.0.0.1:0" for any free port) until stop is
// called.
func (s *Server) Listen(address string) (url string, stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // returns when stop closes it
	}()
	return "http://" + listener.Addr().String(), func() {
		server.Close()
		<-done
	}, nil
}
