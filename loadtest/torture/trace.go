package torture

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

// trace is what one client lived through, with times: what it asked for, sent
// and was answered, and how its connections came and went.
type trace struct {
	mu     sync.Mutex
	events []traced
}

type traced struct {
	at     time.Time
	what   string
	number uint64 // of the action, if it is about one
	detail fmt.Stringer
}

// text is a detail that is known already.
type text string

func (t text) String() string { return string(t) }

// note keeps an event.
func (t *trace) note(what string, number uint64, detail fmt.Stringer) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, traced{at: now, what: what, number: number, detail: detail})
}

// hook makes a client's callbacks note what happens, before those that are
// there already.
func (t *trace) hook(o *starling.Options) {
	session, send, outcome, url, notice := o.OnSession, o.OnSend, o.OnOutcome, o.URL, o.OnNotice
	o.OnSession = func(s starling.Session) {
		t.note("welcome", 0, text(fmt.Sprintf("%s, resumed %v, next %d", s.Gateway, s.Resumed, s.NextNumber)))
		session(s)
	}
	o.OnSend = func(act *starlingv1.Act, id uint64) {
		t.note("sent", act.Number, nil)
		send(act, id)
	}
	o.OnOutcome = func(out *starlingv1.Outcome, id uint64) {
		t.note("told", out.Number, answer{out})
		outcome(out, id)
	}
	o.OnNotice = func(n *starlingv1.Notice) {
		t.note("notice", 0, text(n.String()))
		if notice != nil {
			notice(n)
		}
	}
	o.Logger = slog.New(attempts{t})
	o.URL = func() string {
		to := url()
		t.note("connects", 0, text(to))
		return to
	}
}

// attempts notes what a client logs: how each attempt to connect ended.
type attempts struct{ trace *trace }

// Enabled implements slog.Handler.
func (attempts) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (a attempts) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(attr slog.Attr) bool {
		fmt.Fprintf(&b, " %v", attr)
		return true
	})
	a.trace.note("client", 0, text(b.String()))
	return nil
}

// WithAttrs implements slog.Handler: clients add none.
func (a attempts) WithAttrs([]slog.Attr) slog.Handler { return a }

// WithGroup implements slog.Handler.
func (a attempts) WithGroup(string) slog.Handler { return a }

// answer is an outcome in words.
type answer struct{ out *starlingv1.Outcome }

func (a answer) String() string {
	s := a.out.Code.String()
	if a.out.Message != "" {
		s += ", " + a.out.Message
	}
	if a.out.RetryAfterMs != 0 {
		s += fmt.Sprintf(", again after %d ms", a.out.RetryAfterMs)
	}
	if a.out.Expected != 0 {
		s += fmt.Sprintf(", expected %d", a.out.Expected)
	}
	if a.out.Repeated {
		s += ", repeated"
	}
	return s
}

// during writes what is of a wait: what concerns its action, and what does not
// concern any other one.
func (t *trace) during(b *strings.Builder, began time.Time, w wait) {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := w.asked.Add(-2 * time.Second)
	for _, e := range t.events {
		of := e.number == 0 || e.number == w.number || e.number+2 >= w.number && e.number < w.number
		if e.at.Before(since) || e.at.After(w.asked.Add(w.took+time.Millisecond)) || !of {
			continue
		}
		fmt.Fprintf(b, "    %8.3f %-12s", e.at.Sub(began).Seconds(), e.what)
		if e.number != 0 {
			fmt.Fprintf(b, " %d", e.number)
		}
		if e.detail != nil {
			fmt.Fprintf(b, " %s", e.detail)
		}
		b.WriteByte('\n')
	}
}

// slowest describes the longest wait of each of the clients that waited
// longest, of those that waited longer than limit.
func (p *Players) slowest(began time.Time, most int, limit time.Duration) string {
	type slow struct {
		one *player
		wait
	}
	var all []slow
	for _, one := range p.all {
		longest := wait{}
		one.mu.Lock()
		for _, w := range one.waits {
			if w.took > longest.took {
				longest = w
			}
		}
		one.mu.Unlock()
		if longest.took > limit {
			all = append(all, slow{one, longest})
		}
	}
	slices.SortFunc(all, func(a, b slow) int { return cmp.Compare(b.took, a.took) })
	var b strings.Builder
	for _, s := range all[:min(most, len(all))] {
		fmt.Fprintf(&b, "  %s session %x waited %d ms for %d, asked at %.3f, at home in %v\n", s.one.name, s.one.client.Session().ID, s.took.Milliseconds(), s.number, s.asked.Sub(began).Seconds(), s.home)
		s.one.trace.during(&b, began, s.wait)
	}
	if n := len(all) - most; n > 0 {
		fmt.Fprintf(&b, "  and %d more clients waited longer than %v\n", n, limit)
	}
	return b.String()
}
