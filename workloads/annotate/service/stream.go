package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Bounds of a stream.
const (
	// maxUnsent is how many bytes of answers may wait for a client who does not read;
	// beyond it nothing more is read from it.
	maxUnsent = 1 << 20
	// writeTime is how long a client may take nothing at all.
	writeTime = 30 * time.Second
	// readBuffer is what is read at once.
	readBuffer = 64 << 10
)

// stream is a request with a document a line, and an answer a line.
type stream struct {
	service *Service
	include include
	sender  uint64

	mu       sync.Mutex
	changed  sync.Cond
	unsent   []byte
	since    invoke.Instant // when the first of unsent ended, 0 if none did
	overrun  time.Duration  // the longest of unsent
	inFlight int
	ended    bool // nothing more comes
	broken   bool // the client is gone
}

func (s *Service) streamHTTP(w http.ResponseWriter, q *http.Request, who Identity, in include) {
	if s.streams.Add(1) > int64(s.config.Streams) {
		s.streams.Add(-1)
		s.metrics.turnedAway("too_many_streams")
		p := problem("too_many_streams", fmt.Sprintf("%d streams are open", s.config.Streams))
		p.RetryAfter = time.Second
		writeProblem(w, "", "", p)
		return
	}
	defer s.streams.Add(-1)
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/2 is
	// A stopping server reads nothing more; nor from one whose token has ended.
	stop := func() { _ = control.SetReadDeadline(time.Now()) }
	defer context.AfterFunc(s.alive, stop)()
	if !who.Expires.IsZero() {
		expiry := time.AfterFunc(time.Until(who.Expires), stop)
		defer expiry.Stop()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_ = control.Flush()

	st := &stream{service: s, include: in, sender: s.sender(who.Name)}
	st.changed.L = &st.mu
	var writer sync.WaitGroup
	to := answersTo(w, q, control)
	writer.Go(func() { st.write(to, control) })
	if p := st.read(q.Body, unread(q)); p != nil {
		st.answer(appendRefusal(nil, "", "", p.line, &p.Problem))
	} else if !who.Expires.IsZero() && !time.Now().Before(who.Expires) {
		st.answer(appendRefusal(nil, "", "", 0, problem("unauthorized", "the token has expired")))
	}
	st.mu.Lock()
	for st.inFlight > 0 {
		st.changed.Wait()
	}
	st.ended = true
	st.changed.Broadcast()
	st.mu.Unlock()
	writer.Wait()
}

// lineProblem ends a stream.
type lineProblem struct {
	Problem
	line int
}

// read takes documents until the stream ends.
func (st *stream) read(from io.Reader, age func() (time.Duration, bool)) *lineProblem {
	came := &arrivals{body: from, now: st.service.deps.Scheduler.Now, age: age}
	body := bufio.NewReaderSize(came, readBuffer)
	most := lineLimit(st.service.config.MaxDocument)
	for line := 1; ; line++ {
		waited, ok := st.admit()
		if !ok {
			return nil
		}
		if waited {
			came.refused = came.now()
		}
		r := st.service.newRequest()
		r.line, r.include, r.stream, r.end = line, st.include, st, streamed
		came.begin(body.Buffered() > 0)
		room, err := readLine(body, r.job.Room[:0], most)
		r.job.Room = room
		if errors.Is(err, errTooLong) {
			r.release()
			st.service.metrics.turnedAway("too_large")
			return &lineProblem{*tooManyBytes(st.service.config.MaxDocument), line}
		}
		if len(room) > 0 {
			r.job.Run.Arrived, r.stamped = came.first, came.stamped
			st.take(r, room)
		} else {
			r.release()
		}
		if err != nil {
			return nil // the end, or the client is gone
		}
	}
}

// admit waits until another document may be taken, which is never if ok is false.
func (st *stream) admit() (waited, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for !st.broken && (st.inFlight >= st.service.config.InFlight || len(st.unsent) > maxUnsent) {
		waited = true
		st.changed.Wait()
	}
	return waited, !st.broken
}

// readLine reads up to the end of a line, most bytes at most, behind room. The end of
// the line is left out. The error io.EOF may come with a last line.
func readLine(body *bufio.Reader, room []byte, most int) ([]byte, error) {
	for {
		piece, err := body.ReadSlice('\n')
		room = append(room, piece...)
		switch {
		case len(room) > most:
			return room, errTooLong
		case err == bufio.ErrBufferFull:
			continue
		}
		for n := len(room); n > 0 && (room[n-1] == '\n' || room[n-1] == '\r'); n-- {
			room = room[:n-1]
		}
		return room, err
	}
}

// take submits the document of a line.
func (st *stream) take(r *request, line []byte) {
	f, err := readFields(line)
	var p *Problem
	if err != nil {
		r.job.ID = view(f.id)
		p = invalid(err)
	} else {
		p = r.fill(&f)
	}
	if p != nil {
		st.service.metrics.turnedAway(p.Code)
	} else {
		st.mu.Lock()
		st.inFlight++
		st.mu.Unlock()
		if p = r.submit(st.sender); p == nil {
			return
		}
		st.mu.Lock()
		st.inFlight--
		st.mu.Unlock()
	}
	name := ""
	if r.flow != nil {
		name = r.flow.Name
	}
	r.answer = appendRefusal(r.paper(), r.job.ID, name, r.line, p)
	st.answer(r.answer)
	r.release()
}

// streamed is called by the worker that ended the document's workflow.
func streamed(r *request, p *Problem) {
	st := r.stream
	r.encode(p)
	st.mu.Lock()
	if st.since == 0 {
		st.since = r.job.Run.Ended()
	}
	st.overrun = max(st.overrun, r.job.Run.Overrun())
	st.unsent = append(st.unsent, r.answer...)
	st.inFlight--
	st.changed.Broadcast()
	st.mu.Unlock()
	r.publish(p)
	s := r.service
	r.release()
	s.yield()
}

// yieldEvery is how long workers go on before those that read and write may run: Go's own
// scheduler makes way after 10 ms.
const yieldEvery = time.Millisecond

// yield lets others run if none of the workers has done so for a while.
func (s *Service) yield() {
	now := s.deps.Scheduler.Now()
	last := s.yielded.Load()
	if now.Sub(invoke.Instant(last)) >= yieldEvery && s.yielded.CompareAndSwap(last, int64(now)) {
		runtime.Gosched()
	}
}

// answer sends a line.
func (st *stream) answer(line []byte) {
	st.mu.Lock()
	st.unsent = append(st.unsent, line...)
	st.changed.Broadcast()
	st.mu.Unlock()
}

// write sends answers as they come, those that came together in one write.
func (st *stream) write(to io.Writer, control *http.ResponseController) {
	var sending []byte
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		for len(st.unsent) == 0 && !st.ended {
			st.changed.Wait()
		}
		if len(st.unsent) == 0 {
			return
		}
		sending, st.unsent = st.unsent, sending[:0]
		since, overrun := st.since, st.overrun
		st.since, st.overrun = 0, 0
		st.changed.Broadcast()
		broken := st.broken
		st.mu.Unlock()
		var err error
		if !broken {
			_ = control.SetWriteDeadline(time.Now().Add(writeTime))
			_, err = to.Write(sending)
			if since != 0 && err == nil {
				st.service.way.took(overrun + st.service.deps.Scheduler.Now().Sub(since))
			}
		}
		st.mu.Lock()
		if err != nil && !st.broken {
			st.broken = true
			_ = control.SetReadDeadline(time.Now())
			st.changed.Broadcast()
		}
	}
}
