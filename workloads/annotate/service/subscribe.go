package service

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
)

// Bounds of a subscriber: what it has not taken. Beyond it the newest are left out,
// counted, and told.
const (
	maxUntold   = 1 << 20 // bytes of JSON
	maxMessages = 1024    // of gRPC
	// quiet is after how long without annotations a subscriber is told that the
	// connection is alive.
	quiet = 15 * time.Second
)

// subscribers are those who listen to all annotations.
type subscribers struct {
	most    int
	mu      sync.Mutex
	all     atomic.Pointer[[]*subscriber] // never changed in place
	closed  bool
	missed  atomic.Uint64
	told    atomic.Uint64
	refused atomic.Uint64
}

type subscriber struct {
	workflow, source string
	messages         bool // protobuf, not JSON
	events           bool // server-sent events
	wake             chan struct{}

	mu     sync.Mutex
	untold []byte
	queue  []*annotatev1.AnnotateResponse
	missed uint64
}

func (all *subscribers) any() bool {
	list := all.all.Load()
	return list != nil && len(*list) > 0
}

func (all *subscribers) count() int {
	if list := all.all.Load(); list != nil {
		return len(*list)
	}
	return 0
}

func (all *subscribers) add(sub *subscriber) *Problem {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		return problem("closed", "the server is stopping")
	}
	if all.count() >= all.most {
		all.refused.Add(1)
		p := problem("too_many_streams", fmt.Sprintf("%d listen already", all.most))
		p.RetryAfter = time.Second
		return p
	}
	sub.wake = make(chan struct{}, 1)
	list := []*subscriber{sub}
	if old := all.all.Load(); old != nil {
		list = append(list, *old...)
	}
	all.all.Store(&list)
	return nil
}

func (all *subscribers) remove(sub *subscriber) {
	all.mu.Lock()
	defer all.mu.Unlock()
	var list []*subscriber
	for _, other := range *all.all.Load() {
		if other != sub {
			list = append(list, other)
		}
	}
	all.all.Store(&list)
}

func (all *subscribers) close() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.closed = true
}

// tell gives an answer to those whom it concerns. None is waited for.
func (all *subscribers) tell(r *request) {
	var message *annotatev1.AnnotateResponse
	for _, sub := range *all.all.Load() {
		if sub.workflow != "" && sub.workflow != r.flow.Name || sub.source != "" && sub.source != r.job.From {
			continue
		}
		taken := false
		if sub.messages {
			if message == nil {
				message = r.flow.message(r.job, r.include, nil)
			}
			taken = sub.takeMessage(message)
		} else {
			r.encode(nil)
			taken = sub.takeLine(r.answer)
		}
		if taken {
			all.told.Add(1)
		} else {
			all.missed.Add(1)
		}
		select {
		case sub.wake <- struct{}{}:
		default:
		}
	}
}

func (sub *subscriber) takeLine(line []byte) bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if len(sub.untold)+len(line) > maxUntold {
		sub.missed++
		return false
	}
	sub.tellMissed()
	if sub.events {
		sub.untold = append(sub.untold, "event: annotations\ndata: "...)
		sub.untold = append(append(sub.untold, line...), '\n') // a line ends with one already
		return true
	}
	sub.untold = append(sub.untold, line...)
	return true
}

// tellMissed writes how many were left out; with the lock held.
func (sub *subscriber) tellMissed() {
	if sub.missed == 0 {
		return
	}
	if sub.events {
		sub.untold = append(sub.untold, "event: missed\ndata: "...)
	}
	sub.untold = append(sub.untold, `{"missed":`...)
	sub.untold = strconv.AppendUint(sub.untold, sub.missed, 10)
	sub.untold = append(sub.untold, "}\n"...)
	if sub.events {
		sub.untold = append(sub.untold, '\n')
	}
	sub.missed = 0
}

func (sub *subscriber) takeMessage(m *annotatev1.AnnotateResponse) bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if len(sub.queue) >= maxMessages {
		sub.missed++
		return false
	}
	sub.queue = append(sub.queue, m)
	return true
}

// lines takes what there is to tell, into storage of the caller.
func (sub *subscriber) lines(room []byte) []byte {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	told := sub.untold
	sub.untold = room[:0]
	return told
}

// subscribe serves GET /v1/annotations.
func (s *Service) subscribe(w http.ResponseWriter, q *http.Request) {
	who, p := s.bearer(q.Header)
	if p == nil && s.deps.Verify != nil && !who.has(SubscribeScope) {
		p = problem("forbidden", "the token lacks the scope "+SubscribeScope)
	}
	query, wrong := parameters(q, nil, "workflow", "source")
	if p == nil {
		p = wrong
	}
	sub := &subscriber{workflow: query.Get("workflow"), source: query.Get("source"), events: strings.Contains(q.Header.Get("Accept"), "text/event-stream")}
	if p == nil && sub.workflow != "" && s.flows[sub.workflow] == nil {
		p = problem("invalid", s.noWorkflow(sub.workflow))
	}
	if p == nil {
		p = s.subscribers.add(sub)
	}
	if p != nil {
		writeProblem(w, "", "", p)
		return
	}
	defer s.subscribers.remove(sub)
	ctx := q.Context()
	if !who.Expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, who.Expires)
		defer cancel()
	}
	kind := "application/x-ndjson"
	if sub.events {
		kind = "text/event-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	_ = control.Flush()
	sub.serve(ctx, s.alive, w, control)
}

func (sub *subscriber) serve(ctx, alive context.Context, w http.ResponseWriter, control *http.ResponseController) {
	var room []byte
	ticker := time.NewTicker(quiet)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-alive.Done():
			return
		case <-sub.wake:
			room = sub.lines(room)
		case <-ticker.C:
			if room = sub.lines(room); len(room) == 0 && sub.events {
				room = append(room, ": quiet\n\n"...)
			} else if len(room) == 0 {
				room = append(room, '\n')
			}
		}
		if len(room) == 0 {
			continue
		}
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write(room); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
	}
}
