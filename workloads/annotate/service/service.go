package service

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/knowledge"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// SubscribeScope is the scope that a token needs to listen to all annotations.
const SubscribeScope = "annotate:subscribe"

// Service is the door of annotation. Its methods may be called from many goroutines.
type Service struct {
	config      Config
	deps        Deps
	pipeline    *pipeline.Pipeline
	flows       map[string]*flow
	order       []*flow
	metrics     *metrics
	subscribers subscribers
	tokens      tokenCache
	way         way
	yielded     atomic.Int64 // when a worker last let others run, an invoke.Instant
	requests    sync.Pool
	sheets      sync.Pool // of *sheet
	streams     atomic.Int64
	seed        maphash.Seed
	grpc        *grpc.Server
	http        http.Handler

	closing atomic.Bool
	alive   context.Context // until Close
	end     context.CancelFunc
	close   sync.Once
}

// New makes a service and deploys its workflows. The error says what the machine
// cannot hold, with the arithmetic, or what is wrong with the settings.
func New(c Config, deps Deps) (*Service, error) {
	definitions, err := c.definitions()
	if err != nil {
		return nil, err
	}
	if c.Keep > 0 && deps.Store == nil {
		return nil, errors.New("annotate.keep needs store.kind redis")
	}
	o := deps.Pipeline
	o.SplitAbove = c.SplitAbove
	if o.Knowledge == nil {
		o.Knowledge = knowledge.New(knowledge.Options{Entities: c.Entities})
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{config: c, deps: deps, flows: map[string]*flow{}, seed: maphash.MakeSeed()}
	s.alive, s.end = context.WithCancel(context.Background())
	if s.pipeline, err = pipeline.New(deps.Scheduler, o); err != nil {
		return nil, err
	}
	if err := s.pipeline.Deploy(definitions...); err != nil {
		return nil, inSetting(err)
	}
	s.metrics = newMetrics(s)
	for _, w := range s.pipeline.Workflows() {
		f := newFlow(w, s.metrics)
		s.flows[w.Name], s.order = f, append(s.order, f)
	}
	if deps.Registerer != nil {
		if err := s.metrics.register(deps.Registerer); err != nil {
			s.pipeline.Close()
			return nil, err
		}
	}
	s.subscribers.most = c.Subscribers
	s.grpc = s.newGRPC()
	s.http = s.routes()
	return s, nil
}

// Pipeline has the workflows.
func (s *Service) Pipeline() *pipeline.Pipeline { return s.pipeline }

// Close refuses what comes from now on and ends subscriptions. What is under way is
// answered; streams end when their documents are.
func (s *Service) Close() {
	s.close.Do(func() {
		s.closing.Store(true)
		s.end()
		s.subscribers.close()
		s.pipeline.Close()
		s.grpc.Stop()
	})
}

// flow is a workflow with what answers need to know of it.
type flow struct {
	*pipeline.Workflow
	steps   []string
	metrics flowMetrics
	// Places of the steps, -1 if the workflow does not have them.
	language, tokens, keyphrases, entities, topics, sentiment, embedding, summary int
}

func newFlow(w *pipeline.Workflow, m *metrics) *flow {
	at := w.Flow.Step
	return &flow{
		Workflow: w, steps: w.Flow.Steps(), metrics: m.of(w.Name),
		language: at("language"), tokens: at("tokens"), keyphrases: at("keyphrases"), entities: at("entities"),
		topics: at("topics"), sentiment: at("sentiment"), embedding: at("embedding"), summary: at("summary"),
	}
}

// ran says whether a step is there and ran to its end.
func (f *flow) ran(j *pipeline.Job, step int) bool {
	return step >= 0 && j.Run.Outcome(step) == workflow.Ran
}

// request is a document on its way through the service. It owns its job, and is
// reused with it.
type request struct {
	service *Service
	job     *pipeline.Job
	flow    *flow
	include include
	store   bool
	line    int  // of a stream, from 1
	stamped bool // the kernel told when it came
	// end takes the answer, or the problem that stands for it; it is called once and
	// must not keep answer.
	end    func(r *request, p *Problem)
	stream *stream       // of requests of an HTTP stream
	done   chan *Problem // of those that wait
	answer []byte        // as JSON, once encode was called
	sheet  *sheet        // that answer is written on
}

// sheet is room for an answer. Requests that wait have none, so that a worker writes where
// it wrote the answer before, which is in its cache.
type sheet struct{ room []byte }

// paper gives room for the answer.
func (r *request) paper() []byte {
	if r.sheet == nil {
		var ok bool
		if r.sheet, ok = r.service.sheets.Get().(*sheet); !ok {
			r.sheet = &sheet{}
		}
	}
	return r.sheet.room[:0]
}

// forget gives the room for the answer back.
func (r *request) forget() {
	if r.sheet == nil {
		return
	}
	if cap(r.answer) <= keepAtMost {
		r.sheet.room = r.answer[:0]
		r.service.sheets.Put(r.sheet)
	}
	r.answer, r.sheet = nil, nil
}

func (s *Service) newRequest() *request {
	if r, ok := s.requests.Get().(*request); ok {
		return r
	}
	r := &request{service: s, job: s.pipeline.Get(), done: make(chan *Problem, 1)}
	return r
}

// release takes a request back.
func (r *request) release() {
	j := r.job
	if j.Run.Abandoned() {
		return // a function that hangs may still write into it
	}
	j.Clear()
	r.forget()
	r.flow, r.include, r.store, r.line, r.stamped, r.end, r.stream = nil, include{}, false, 0, false, nil, nil
	if cap(j.Room) <= keepAtMost {
		r.service.requests.Put(r)
	}
}

// keepAtMost is the storage up to which a request is kept for reuse.
const keepAtMost = 2 << 20

// fill takes over a document's fields; text lies in the job's room.
func (r *request) fill(f *fields) *Problem {
	j := r.job
	j.ID, j.Source, j.From = view(f.id), f.text, view(f.source)
	r.store = f.store
	switch string(f.format) {
	case "", "auto":
		j.Detect = true
	case "text":
	case "html":
		j.SetHTML()
	default:
		return problem("invalid", `format: want "text", "html" or "auto"`)
	}
	return r.choose(view(f.workflow))
}

// choose finds the workflow, and says what speaks against the document.
func (r *request) choose(name string) *Problem {
	s := r.service
	if name == "" {
		name = "default"
	}
	if r.flow = s.flows[name]; r.flow == nil {
		return problem("invalid", s.noWorkflow(name))
	}
	if r.store && (s.config.Keep == 0 || s.deps.Store == nil) {
		return problem("invalid", "store: this server keeps no annotations")
	}
	if n := len(r.job.Source); n > s.config.MaxDocument {
		return tooManyBytes(s.config.MaxDocument)
	}
	return nil
}

// noWorkflow says that there is no workflow of that name, and which ones there are.
func (s *Service) noWorkflow(name string) string {
	var names []string
	for _, f := range s.order[:min(len(s.order), 16)] {
		names = append(names, f.Name)
	}
	return fmt.Sprintf("there is no workflow %q: want one of %s", name, strings.Join(names, ", "))
}

func tooManyBytes(most int) *Problem {
	return problem("too_large", fmt.Sprintf("a document may have %d bytes", most))
}

// submit hands the request to its workflow. A problem means that end will not be
// called.
func (r *request) submit(sender uint64) *Problem {
	if r.service.closing.Load() {
		return problem("closed", "the server is stopping")
	}
	r.job.Run.Sender = sender
	if r.flow.Hard {
		r.job.Run.Reserve = r.service.way.reserve(time.Duration(r.flow.Deadline), r.stamped)
	}
	r.job.Run.Payload = r
	r.job.Run.Done = finished
	r.flow.metrics.bytes.Add(float64(len(r.job.Source)))
	err := r.flow.Submit(r.job)
	if err == nil {
		return nil
	}
	p := problemOf(err)
	r.service.metrics.turnedAway(p.Code)
	return p
}

// finished is called by the worker that ends a workflow.
func finished(run *workflow.Run[pipeline.Job]) {
	r := run.Payload.(*request)
	p := problemOf(run.Err())
	r.service.metrics.finished(r.flow, run, p)
	r.end(r, p)
}

// encode writes the request's answer to r.answer, unless it is there.
func (r *request) encode(p *Problem) {
	if len(r.answer) > 0 {
		return
	}
	b := r.paper()
	var refused bool
	if p != nil {
		_, refused = r.job.Run.Err().(*workflow.Refusal)
	}
	if refused || r.job.Run.Abandoned() {
		b = appendRefusal(b, r.job.ID, r.flow.Name, r.line, p)
	} else {
		b = r.flow.appendAnswer(b, r.job, r.include, p)
	}
	r.answer = b
}

// publish tells subscribers and the store of an answer.
func (r *request) publish(p *Problem) {
	s := r.service
	if p != nil {
		return
	}
	if r.store {
		r.encode(nil)
		s.metrics.kept(s.deps.Store.Keep(r.answer))
	}
	if s.subscribers.any() {
		s.subscribers.tell(r)
	}
}

// sender is the number that fairness is kept for.
func (s *Service) sender(who string) uint64 {
	if who == "" {
		return 0
	}
	return max(1, maphash.String(s.seed, who))
}

func (i *Identity) has(scope string) bool { return slices.Contains(i.Scopes, scope) }

// identify says whose token it is.
func (s *Service) identify(token string, now time.Time) (Identity, *Problem) {
	if s.deps.Verify == nil {
		return Identity{}, nil
	}
	if known, ok := s.tokens.get(token, now); ok {
		return known, nil
	}
	who, err := s.deps.Verify(token, now)
	if err != nil {
		return who, problem("unauthorized", err.Error())
	}
	s.tokens.put(token, who)
	return who, nil
}

// tokenCache spares requests the verification of a token that was good a moment ago.
type tokenCache struct {
	mu    sync.Mutex
	known map[string]cachedToken
}

type cachedToken struct {
	who   Identity
	until time.Time
}

// A token is verified again after cacheFor, so that a key that was withdrawn is noticed.
const (
	cacheFor    = 10 * time.Second
	cacheTokens = 4096
)

func (c *tokenCache) get(token string, now time.Time) (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.known[token]
	return known.who, ok && now.Before(known.until)
}

func (c *tokenCache) put(token string, who Identity) {
	until := time.Now().Add(cacheFor)
	if who.Expires.Before(until) {
		until = who.Expires
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= cacheTokens {
		c.known = map[string]cachedToken{}
	}
	c.known[token] = cachedToken{who, until}
}
