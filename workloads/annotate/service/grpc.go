package service

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

func (s *Service) newGRPC() *grpc.Server {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(lineLimit(s.config.MaxDocument)))
	annotatev1.RegisterAnnotationServer(server, &door{service: s})
	return server
}

// door implements the gRPC service.
type door struct {
	annotatev1.UnimplementedAnnotationServer
	service *Service
}

// err is the problem as gRPC tells it.
func (p *Problem) err() error {
	st := status.New(problems[p.Code].grpc, p.Message)
	if with, err := st.WithDetails(p.message()); err == nil {
		st = with
	}
	return st.Err()
}

func (p *Problem) message() *annotatev1.Problem {
	m := &annotatev1.Problem{Code: p.Code, Message: p.Message, Retryable: p.Retryable, Function: p.Function, Cause: p.Cause}
	if p.Retryable {
		m.RetryAfterMs = uint32(milliseconds(p.RetryAfter))
	}
	return m
}

// caller says who calls.
func (s *Service) caller(ctx context.Context) (Identity, *Problem) {
	if s.deps.Verify == nil {
		return Identity{}, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, value := range md.Get("authorization") {
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") && token != "" {
			return s.identify(strings.TrimSpace(token), time.Now())
		}
	}
	return Identity{}, problem("unauthorized", "want metadata authorization: Bearer TOKEN")
}

// accept fills a request with a message.
func (r *request) accept(m *annotatev1.AnnotateRequest) *Problem {
	j := r.job
	j.Source = m.GetText()
	j.From = m.GetSource()
	r.store, r.include = m.GetStore(), include{m.GetIncludeTokens(), m.GetIncludeEmbedding()}
	switch m.GetFormat() {
	case annotatev1.Format_FORMAT_UNSPECIFIED:
		j.Detect = true
	case annotatev1.Format_FORMAT_TEXT:
	case annotatev1.Format_FORMAT_HTML:
		j.SetHTML()
	default:
		return problem("invalid", "format: want text, HTML or none")
	}
	if len(m.GetId()) > maxID {
		return invalid(errIdentifier)
	}
	j.ID = m.GetId()
	if !utf8.Valid(j.Source) {
		return invalid(errNotUTF8)
	}
	return r.choose(m.GetWorkflow())
}

// Annotate implements the service.
func (d *door) Annotate(ctx context.Context, m *annotatev1.AnnotateRequest) (*annotatev1.AnnotateResponse, error) {
	s := d.service
	who, p := s.caller(ctx)
	if p != nil {
		s.metrics.turnedAway(p.Code)
		return nil, p.err()
	}
	r := s.newRequest()
	r.end = wake
	if p := r.accept(m); p != nil {
		s.metrics.turnedAway(p.Code)
		r.release()
		return nil, p.err()
	}
	if p := r.submit(s.sender(who.Name)); p != nil {
		r.release()
		return nil, p.err()
	}
	p = <-r.done
	defer r.release()
	if p != nil && (p.Function == "" || r.job.Run.Abandoned()) {
		return nil, p.err()
	}
	answer := r.flow.message(r.job, r.include, p)
	r.publish(p)
	return answer, nil
}

// conversation is a stream of documents over gRPC.
type conversation struct {
	stream annotatev1.Annotation_AnnotateStreamServer

	mu       sync.Mutex
	changed  sync.Cond
	ready    []*annotatev1.AnnotateResponse
	inFlight int
	ended    bool
	broken   error
}

// AnnotateStream implements the service.
func (d *door) AnnotateStream(stream annotatev1.Annotation_AnnotateStreamServer) error {
	s := d.service
	who, p := s.caller(stream.Context())
	if p != nil {
		s.metrics.turnedAway(p.Code)
		return p.err()
	}
	if s.streams.Add(1) > int64(s.config.Streams) {
		s.streams.Add(-1)
		s.metrics.turnedAway("too_many_streams")
		p := problem("too_many_streams", "as many streams are open as may be")
		p.RetryAfter = time.Second
		return p.err()
	}
	defer s.streams.Add(-1)
	c := &conversation{stream: stream}
	c.changed.L = &c.mu
	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read(s, who)
	c.mu.Lock()
	for c.inFlight > 0 {
		c.changed.Wait()
	}
	c.ended = true
	c.changed.Broadcast()
	c.mu.Unlock()
	writer.Wait()
	return errors.Join(err, c.broken)
}

// read takes documents until the client has sent the last one.
func (c *conversation) read(s *Service, who Identity) error {
	sender := s.sender(who.Name)
	for {
		c.mu.Lock()
		for c.broken == nil && c.inFlight+len(c.ready) >= s.config.InFlight {
			c.changed.Wait()
		}
		c.mu.Unlock()
		m, err := c.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !who.Expires.IsZero() && !time.Now().Before(who.Expires) {
			return problem("unauthorized", "the token has expired").err()
		}
		c.take(s, m, sender)
	}
}

func (c *conversation) take(s *Service, m *annotatev1.AnnotateRequest, sender uint64) {
	r := s.newRequest()
	r.end = c.finished
	p := r.accept(m)
	if p != nil {
		s.metrics.turnedAway(p.Code)
	} else {
		c.mu.Lock()
		c.inFlight++
		c.mu.Unlock()
		if p = r.submit(sender); p == nil {
			return
		}
		c.mu.Lock()
		c.inFlight--
		c.mu.Unlock()
	}
	answer := &annotatev1.AnnotateResponse{Id: m.GetId(), Error: p.message()}
	if r.flow != nil {
		answer.Workflow = r.flow.Name
	}
	if p.Code == "invalid" && !utf8.ValidString(answer.Id) {
		answer.Id = ""
	}
	r.release()
	c.mu.Lock()
	c.ready = append(c.ready, answer)
	c.changed.Broadcast()
	c.mu.Unlock()
}

// finished is called by the worker that ended the document's workflow.
func (c *conversation) finished(r *request, p *Problem) {
	var answer *annotatev1.AnnotateResponse
	if p != nil && (p.Function == "" || r.job.Run.Abandoned()) {
		answer = &annotatev1.AnnotateResponse{Id: r.job.ID, Workflow: r.flow.Name, Error: p.message()}
	} else {
		answer = r.flow.message(r.job, r.include, p)
	}
	c.mu.Lock()
	c.ready = append(c.ready, answer)
	c.inFlight--
	c.changed.Broadcast()
	c.mu.Unlock()
	r.publish(p)
	r.release()
}

func (c *conversation) write() {
	var sending []*annotatev1.AnnotateResponse
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.ready) == 0 && !c.ended {
			c.changed.Wait()
		}
		if len(c.ready) == 0 {
			return
		}
		clear(sending)
		sending, c.ready = c.ready, sending[:0]
		broken := c.broken
		c.changed.Broadcast()
		c.mu.Unlock()
		for _, answer := range sending {
			if broken == nil {
				broken = c.stream.Send(answer)
			}
		}
		c.mu.Lock()
		c.broken = broken
		c.changed.Broadcast()
	}
}

// Subscribe implements the service.
func (d *door) Subscribe(m *annotatev1.SubscribeRequest, stream annotatev1.Annotation_SubscribeServer) error {
	s := d.service
	who, p := s.caller(stream.Context())
	if p == nil && s.deps.Verify != nil && !who.has(SubscribeScope) {
		p = problem("forbidden", "the token lacks the scope "+SubscribeScope)
	}
	if p == nil && m.GetWorkflow() != "" && s.flows[m.GetWorkflow()] == nil {
		p = problem("invalid", "there is no such workflow")
	}
	sub := &subscriber{workflow: m.GetWorkflow(), source: m.GetSource(), messages: true}
	if p == nil {
		p = s.subscribers.add(sub)
	}
	if p != nil {
		return p.err()
	}
	defer s.subscribers.remove(sub)
	if err := stream.SendHeader(nil); err != nil { // so that the client knows that it listens
		return err
	}
	var expired <-chan time.Time
	if !who.Expires.IsZero() {
		expiry := time.NewTimer(time.Until(who.Expires))
		defer expiry.Stop()
		expired = expiry.C
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.alive.Done():
			return problem("closed", "the server is stopping").err()
		case <-expired:
			return problem("unauthorized", "the token has expired").err()
		case <-sub.wake:
		}
		sub.mu.Lock()
		queue, missed := sub.queue, sub.missed
		sub.queue, sub.missed = nil, 0
		sub.mu.Unlock()
		for i, answer := range queue {
			told := &annotatev1.SubscribeResponse{Annotations: answer}
			if i == len(queue)-1 {
				told.Missed = missed
			}
			if err := stream.Send(told); err != nil {
				return err
			}
		}
	}
}

// message is the answer for a document as protobuf.
func (f *flow) message(j *pipeline.Job, in include, p *Problem) *annotatev1.AnnotateResponse {
	m := &annotatev1.AnnotateResponse{Id: string([]byte(j.ID)), Workflow: f.Name, Late: j.Run.Late(), TookUs: uint64(max(0, j.Run.Ended().Sub(j.Run.Arrived).Microseconds()))}
	if p != nil {
		m.Error = p.message()
	}
	if f.ran(j, f.language) {
		m.Language, m.LanguageConfidence = j.Language.Code, j.Language.Confidence
	}
	if f.ran(j, f.tokens) {
		f.spans(m, j, in)
	}
	if f.ran(j, f.keyphrases) {
		for _, x := range j.Phrases {
			from, to := origin(j, x.Start, x.End)
			m.Keyphrases = append(m.Keyphrases, &annotatev1.Keyphrase{Start: from, End: to, Text: text(j, x.Start, x.End), Score: x.Score, Count: x.Count})
		}
	}
	if f.ran(j, f.entities) {
		for _, e := range j.Entities {
			from, to := origin(j, e.Start, e.End)
			m.Entities = append(m.Entities, &annotatev1.Entity{
				Start: from, End: to, Text: text(j, e.Start, e.End), Kind: e.Kind.String(), Score: e.Score, Entity: e.ID, Seen: e.Seen,
			})
		}
	}
	if f.ran(j, f.topics) {
		for _, x := range j.Topics {
			m.Topics = append(m.Topics, &annotatev1.Topic{Topic: x.Name, Score: x.Score})
		}
	}
	if f.ran(j, f.sentiment) && j.Sentiment.Known {
		score := j.Sentiment.Score
		m.Sentiment = &score
	}
	if in.embedding && f.ran(j, f.embedding) {
		m.Embedding = append(m.Embedding, j.Embedding...)
	}
	if f.ran(j, f.summary) {
		for _, s := range j.Summary {
			m.Summary = append(m.Summary, span(j, j.Sentences[s]))
		}
	}
	for i, name := range f.steps {
		if said := outcome(j, i); said != "" {
			if m.Functions == nil {
				m.Functions = map[string]string{}
			}
			m.Functions[name] = said
		}
	}
	return m
}

// spans fills in tokens and sentences.
func (f *flow) spans(m *annotatev1.AnnotateResponse, j *pipeline.Job, in include) {
	if in.tokens {
		for i := range j.Tokens {
			from, to := origin(j, uint32(i), uint32(i)+1)
			m.Tokens = append(m.Tokens, &annotatev1.Token{Start: from, End: to, Tag: j.Tokens[i].Tag.String()})
		}
	}
	for _, s := range j.Sentences {
		m.Sentences = append(m.Sentences, span(j, s))
	}
}

func span(j *pipeline.Job, s document.Sentence) *annotatev1.Span {
	from, to := origin(j, s.Start, s.End)
	return &annotatev1.Span{Start: from, End: to}
}

func origin(j *pipeline.Job, start, end uint32) (from, to uint32) {
	return j.Origin(j.Tokens[start].Start, j.Tokens[end-1].End)
}

func text(j *pipeline.Job, start, end uint32) string {
	return strings.ToValidUTF8(string(j.Bytes(start, end)), "\ufffd")
}
