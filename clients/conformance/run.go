package conformance

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

const (
	subprotocolProto = "starling.v1.proto"
	subprotocolJSON  = "starling.v1.json"
)

// run is one scenario being played against one client.
type run struct {
	id       string
	scenario Scenario

	waiting  chan *connection // connections whose script step has not come yet
	commands chan json.RawMessage
	replies  chan json.RawMessage
	reported chan struct{} // wakes whoever waits for a report
	done     chan struct{}

	mu      sync.Mutex
	reports []json.RawMessage
	result  Result
	open    []*connection
	ended   bool

	current *connection // of the script's goroutine
	since   time.Time   // end of the step before
}

// Result says how a run went.
type Result struct {
	Scenario string   `json:"scenario"`
	Run      string   `json:"run"`
	Passed   bool     `json:"passed"`
	Finished bool     `json:"finished"`
	Failures []string `json:"failures,omitempty"`
}

// connection is one websocket connection of the client, or (before accept) its
// wish to have one.
type connection struct {
	verdict  chan int // HTTP status, or 101 to go on
	ready    chan error
	ws       *websocket.Conn
	received chan json.RawMessage // ClientMessages that are no pings
	pings    chan struct{}
	gone     chan struct{} // closed when reading ended
	json     bool
	write    sync.Mutex
}

func newRun(id string, s Scenario) *run {
	return &run{
		id: id, scenario: s,
		waiting:  make(chan *connection, 16),
		commands: make(chan json.RawMessage),
		replies:  make(chan json.RawMessage, 1),
		reported: make(chan struct{}, 1),
		done:     make(chan struct{}),
		result:   Result{Scenario: s.Name, Run: id},
	}
}

// play runs the script and leaves the verdict in result.
func (r *run) play() {
	r.since = time.Now()
	var failure error
	for i, step := range r.scenario.Steps {
		if err := r.step(step); err != nil {
			text, _ := json.Marshal(step)
			failure = fmt.Errorf("step %d %s: %w", i+1, text, err)
			break
		}
		r.since = time.Now()
	}
	r.end(failure)
}

func (r *run) end(failure error) {
	r.mu.Lock()
	r.result.Finished, r.result.Passed = true, failure == nil
	if failure != nil {
		r.result.Failures = append(r.result.Failures, failure.Error())
		for _, report := range r.reports {
			r.result.Failures = append(r.result.Failures, "unread report: "+string(report))
		}
	}
	r.ended = true
	open := r.open
	r.mu.Unlock()
	for _, c := range open {
		c.ws.Close()
	}
	close(r.done)
}

func (r *run) step(s Step) error {
	switch {
	case s.Command != nil:
		_, err := r.ask(s.Command)
		return err
	case s.Query != nil:
		return r.query(s)
	case s.Accept != nil:
		return r.accept(s)
	case s.Reject != 0:
		return r.reject(s)
	case s.Send != nil:
		return r.send(s.Send)
	case s.Receive != nil:
		return r.receive(s)
	case s.ReceivePing:
		return r.receivePing(s)
	case s.Report != nil:
		return r.awaitReport(s)
	case s.NoReport != nil:
		return r.noReport(s)
	case s.NoReceive:
		return r.noReceive(s)
	case s.NoConnection:
		return r.noConnection(s)
	case s.Drop:
		return r.drop()
	case s.Close != nil:
		return r.close(*s.Close)
	case s.Closed:
		return r.closed(s)
	case s.Garbage != "":
		return r.garbage(s.Garbage)
	}
	return errors.New("empty step")
}

// ask hands a command to the runner and waits for its reply.
func (r *run) ask(command json.RawMessage) (json.RawMessage, error) {
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case r.commands <- command:
	case <-timeout.C:
		return nil, errors.New("the runner did not fetch the command")
	}
	select {
	case reply := <-r.replies:
		return reply, nil
	case <-timeout.C:
		return nil, errors.New("the runner did not reply to the command")
	}
}

// query asks until the reply matches.
func (r *run) query(s Step) error {
	deadline := time.Now().Add(s.within())
	for {
		reply, err := r.ask(s.Query)
		if err != nil {
			return err
		}
		err = Match(s.Reply, reply)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w (whole reply: %s)", err, reply)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// tooSoon checks after_ms. Half a millisecond is allowed for clocks of
// different grain.
func (r *run) tooSoon(s Step) error {
	least := time.Duration(s.AfterMS) * time.Millisecond
	if waited := time.Since(r.since); waited+time.Millisecond/2 < least {
		return fmt.Errorf("came after %v, not before %v", waited, least)
	}
	return nil
}

func (r *run) nextConnection(s Step) (*connection, error) {
	select {
	case c := <-r.waiting:
		if err := r.tooSoon(s); err != nil {
			c.verdict <- http.StatusServiceUnavailable
			return nil, err
		}
		return c, nil
	case <-time.After(s.within()):
		return nil, errors.New("no connection came")
	}
}

func (r *run) accept(s Step) error {
	c, err := r.nextConnection(s)
	if err != nil {
		return err
	}
	c.verdict <- http.StatusSwitchingProtocols
	if err := <-c.ready; err != nil {
		return err
	}
	r.mu.Lock()
	r.open = append(r.open, c)
	r.mu.Unlock()
	r.current = c
	hello, err := r.nextMessage(s)
	if err != nil {
		return err
	}
	pattern, _ := json.Marshal(map[string]json.RawMessage{"hello": orAny(s.Accept.Hello)})
	return Match(pattern, hello)
}

func orAny(pattern json.RawMessage) json.RawMessage {
	if pattern == nil {
		return json.RawMessage(`{"$any":true}`)
	}
	return pattern
}

func (r *run) reject(s Step) error {
	c, err := r.nextConnection(s)
	if err == nil {
		c.verdict <- s.Reject
	}
	return err
}

func (r *run) nextMessage(s Step) (json.RawMessage, error) {
	select {
	case m := <-r.current.received:
		return m, nil
	default:
	}
	select {
	case m := <-r.current.received:
		return m, nil
	case <-r.current.gone:
		select {
		case m := <-r.current.received:
			return m, nil
		default:
		}
		return nil, errors.New("the client closed its connection")
	case <-time.After(s.within()):
		return nil, errors.New("nothing came")
	}
}

func (r *run) receive(s Step) error {
	m, err := r.nextMessage(s)
	if err != nil {
		return err
	}
	if err := r.tooSoon(s); err != nil {
		return err
	}
	return Match(s.Receive, m)
}

func (r *run) receivePing(s Step) error {
	select {
	case <-r.current.pings:
		return nil
	case <-time.After(s.within()):
		return errors.New("no ping came")
	}
}

func (r *run) noReceive(s Step) error {
	select {
	case m := <-r.current.received:
		return fmt.Errorf("unexpected message %s", m)
	case <-time.After(s.quiet()):
		return nil
	}
}

func (r *run) noConnection(s Step) error {
	select {
	case c := <-r.waiting:
		c.verdict <- http.StatusServiceUnavailable
		return errors.New("the client connected again")
	case <-time.After(s.quiet()):
		return nil
	}
}

func (r *run) send(messages []json.RawMessage) error {
	for _, text := range messages {
		if err := r.current.send(text); err != nil {
			return err
		}
	}
	return nil
}

func (c *connection) send(text json.RawMessage) error {
	var m starlingv1.ServerMessage
	if err := protojson.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return c.write1(&m)
}

func (c *connection) write1(m *starlingv1.ServerMessage) error {
	kind, data := websocket.BinaryMessage, []byte(nil)
	var err error
	if c.json {
		kind = websocket.TextMessage
		data, err = protojson.Marshal(m)
	} else {
		data, err = proto.Marshal(m)
	}
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	return c.ws.WriteMessage(kind, data)
}

func (r *run) garbage(text string) error {
	data, err := hex.DecodeString(text)
	if err != nil {
		return err
	}
	kind := websocket.BinaryMessage
	if r.current.json {
		kind = websocket.TextMessage
	}
	r.current.write.Lock()
	defer r.current.write.Unlock()
	return r.current.ws.WriteMessage(kind, data)
}

func (r *run) drop() error { return r.current.ws.NetConn().Close() }

func (r *run) close(c Close) error {
	data := websocket.FormatCloseMessage(c.Code, c.Reason)
	err := r.current.ws.WriteControl(websocket.CloseMessage, data, time.Now().Add(5*time.Second))
	if err != nil {
		return err
	}
	select { // the client's half of the closing handshake
	case <-r.current.gone:
	case <-time.After(5 * time.Second):
		return errors.New("the client did not answer the close frame")
	}
	r.current.ws.Close()
	return nil
}

func (r *run) closed(s Step) error {
	select {
	case <-r.current.gone:
		return r.tooSoon(s)
	case <-time.After(s.within()):
		return errors.New("the client kept its connection")
	}
}
