package service

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readTime is how long the body of one document may take to come.
const readTime = 30 * time.Second

// ServeHTTP serves the paths of annotation, HTTP and gRPC.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		s.grpc.ServeHTTP(w, r)
		return
	}
	s.http.ServeHTTP(w, r)
}

// Paths are the patterns of ServeHTTP, for a mux: all of /v1, so that a path that is not
// there is told as JSON, too.
func Paths() []string { return []string{"/v1/", "/starling.annotate.v1.Annotation/"} }

func (s *Service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/annotate", s.annotate)
	mux.HandleFunc("GET /v1/annotate/workflows", s.listWorkflows)
	mux.HandleFunc("GET /v1/annotations", s.subscribe)
	mux.HandleFunc("GET /v1/entities/{id}", s.entity)
	for path, method := range map[string]string{"/v1/annotate": "POST", "/v1/annotate/workflows": "GET, HEAD", "/v1/annotations": "GET, HEAD", "/v1/entities/{id}": "GET, HEAD"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			writeProblem(w, "", "", problem("method_not_allowed", "want "+method))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		writeProblem(w, "", "", problem("not_found", fmt.Sprintf("there is no %.200q: want /v1/annotate, /v1/annotate/workflows, /v1/annotations or /v1/entities/ID", q.URL.Path)))
	})
	return mux
}

// bearer says who sends a request.
func (s *Service) bearer(header http.Header) (Identity, *Problem) {
	if s.deps.Verify == nil {
		return Identity{}, nil
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Identity{}, problem("unauthorized", "want a header Authorization: Bearer TOKEN")
	}
	return s.identify(strings.TrimSpace(token), time.Now())
}

// mediaType is what Content-Type says, without its parameters. Only UTF-8 is taken.
func mediaType(header http.Header) (string, *Problem) {
	kind, parameters, _ := strings.Cut(header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	_, charset, found := strings.Cut(strings.ToLower(parameters), "charset=")
	if charset = strings.Trim(charset, ` "'`); found && charset != "utf-8" && charset != "us-ascii" && charset != "utf8" {
		return "", problem("unsupported_media_type", "charset "+charset+": want UTF-8")
	}
	switch kind {
	case "application/json", "application/x-ndjson", "text/plain", "text/html":
		return kind, nil
	}
	return "", problem("unsupported_media_type", "want Content-Type application/json, application/x-ndjson, text/plain or text/html")
}

// parameters reads the query. One that is not among known is refused by name, as the
// field of a document is, with what is known of elsewhere or else with what is known here.
func parameters(q *http.Request, elsewhere map[string]string, known ...string) (url.Values, *Problem) {
	if q.URL.RawQuery == "" {
		return url.Values{}, nil
	}
	query, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return nil, invalid(err)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if slices.Contains(known, name) {
			continue
		}
		hint := elsewhere[name]
		switch {
		case hint != "":
		case len(known) == 0:
			hint = "there are none here"
		default:
			hint = "want " + strings.Join(known, ", ")
		}
		return nil, problem("invalid", fmt.Sprintf("unknown query parameter %q: %s", name, hint))
	}
	return query, nil
}

// documentParameters are those of a document that is the body itself.
var documentParameters = []string{"include", "id", "workflow", "source", "store"}

// What to say of parameters that belong elsewhere, with JSON and with a document that is
// the body itself.
var (
	fieldsOfJSON = map[string]string{"id": aField, "workflow": aField, "source": aField, "store": aField, "format": aField, "text": aField}
	fieldsOfText = map[string]string{"format": "Content-Type says it, text/plain or text/html", "text": "the document is the body"}
)

const aField = "in JSON it is a field of the document"

func included(query url.Values) (in include, p *Problem) {
	for _, word := range strings.FieldsFunc(query.Get("include"), func(r rune) bool { return r == ',' }) {
		switch word {
		case "tokens":
			in.tokens = true
		case "embedding":
			in.embedding = true
		default:
			return in, problem("invalid", "include: want tokens, embedding or both")
		}
	}
	return in, nil
}

// asked reads what a request says besides its body.
func asked(q *http.Request) (kind string, query url.Values, in include, p *Problem) {
	if kind, p = mediaType(q.Header); p != nil {
		return
	}
	known, elsewhere := documentParameters, fieldsOfText
	if kind == "application/json" || kind == "application/x-ndjson" {
		known, elsewhere = known[:1], fieldsOfJSON
	}
	if query, p = parameters(q, elsewhere, known...); p != nil {
		return
	}
	if stored := query.Get("store"); stored != "" && stored != "true" && stored != "false" {
		p = problem("invalid", "store: want true or false")
		return
	}
	in, p = included(query)
	return
}

func (s *Service) annotate(w http.ResponseWriter, q *http.Request) {
	who, p := s.bearer(q.Header)
	if p != nil {
		s.metrics.turnedAway(p.Code)
		writeProblem(w, "", "", p)
		return
	}
	kind, query, in, p := asked(q)
	if p != nil {
		s.metrics.turnedAway(p.Code)
		writeProblem(w, "", "", p)
		return
	}
	if kind == "application/x-ndjson" {
		s.streamHTTP(w, q, who, in)
		return
	}
	r := s.newRequest()
	r.include = in
	if p := s.receive(w, q, r, kind, query); p != nil {
		s.metrics.turnedAway(p.Code)
		if p.Code == "too_large" {
			discard(q)
		}
		writeProblem(w, r.job.ID, "", p)
		r.release()
		return
	}
	r.end = wake
	if p = r.submit(s.sender(who.Name)); p != nil {
		writeProblem(w, r.job.ID, r.flow.Name, p)
		r.release()
		return
	}
	p = <-r.done
	r.encode(p)
	header := w.Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(r.answer))}
	w.WriteHeader(httpStatus(header, p))
	_, _ = w.Write(r.answer)
	r.publish(p)
	r.release()
}

var jsonType = []string{"application/json"}

func wake(r *request, p *Problem) { r.done <- p }

// receive reads a request's document from the body.
func (s *Service) receive(w http.ResponseWriter, q *http.Request, r *request, kind string, query url.Values) *Problem {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime))
	most := s.config.MaxDocument
	if kind == "application/json" {
		most = lineLimit(most)
	}
	room, err := readAll(q.Body, r.job.Room[:0], q.ContentLength, most)
	r.job.Room = room
	if errors.Is(err, errTooLong) {
		return tooManyBytes(s.config.MaxDocument)
	}
	if err != nil {
		return invalid(err)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	var f fields
	if kind == "application/json" {
		if f, err = readFields(room); err != nil {
			r.job.ID = view(f.id)
			return invalid(err)
		}
		return r.fill(&f)
	}
	f = fields{
		id: []byte(query.Get("id")), text: room, format: []byte(kind[len("text/"):]), given: true,
		workflow: []byte(query.Get("workflow")), source: []byte(query.Get("source")), store: query.Get("store") == "true",
	}
	if kind == "text/plain" {
		f.format = []byte("text")
	}
	if err := f.check(); err != nil {
		return invalid(err)
	}
	return r.fill(&f)
}

// mostDiscarded is how much of a body that is too large is read and thrown away.
const mostDiscarded = 64 << 20

// discard reads the rest of a body, so that a client who reads the answer after it has
// sent all gets to see it, and not a connection that was reset. One who asked first
// ("Expect: 100-continue") has not sent it.
func discard(q *http.Request) {
	if q.Header.Get("Expect") == "" && q.ContentLength <= mostDiscarded {
		_, _ = io.CopyN(io.Discard, q.Body, mostDiscarded)
	}
}

// lineLimit is the size of a document's JSON: escapes may double it.
func lineLimit(document int) int { return 2*document + 4096 }

var errTooLong = errors.New("too long")

// readAll reads all of body, most bytes at most, behind room.
func readAll(body io.Reader, room []byte, length int64, most int) ([]byte, error) {
	if length > int64(most) {
		return room, errTooLong
	}
	if n := int(length) + 1; length >= 0 && cap(room) < n {
		room = make([]byte, 0, n)
	}
	for {
		if len(room) == cap(room) {
			room = append(room, 0)[:len(room)]
		}
		n, err := body.Read(room[len(room):cap(room)])
		room = room[:len(room)+n]
		switch {
		case len(room) > most:
			return room, errTooLong
		case err == io.EOF:
			return room, nil
		case err != nil:
			return room, err
		}
	}
}

// httpStatus is the HTTP status that tells a problem; it sets what belongs to it.
func httpStatus(header http.Header, p *Problem) int {
	if p == nil {
		return http.StatusOK
	}
	if p.Retryable {
		header.Set("Retry-After", strconv.FormatInt((milliseconds(p.RetryAfter)+999)/1000, 10))
	}
	if p.Code == "unauthorized" {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if known, ok := problems[p.Code]; ok {
		return known.status
	}
	return http.StatusInternalServerError
}

func writeProblem(w http.ResponseWriter, id, flow string, p *Problem) {
	w.Header()["Content-Type"] = jsonType
	if p.Code == "too_large" {
		w.Header().Set("Connection", "close") // what follows of the body is not read
	}
	w.WriteHeader(httpStatus(w.Header(), p))
	_, _ = w.Write(appendRefusal(nil, id, flow, 0, p))
}
