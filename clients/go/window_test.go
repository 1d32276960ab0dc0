package starling

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// TestWindow plays a window against a session that keeps the rules of numbers,
// over a link that breaks: each action must end exactly once, take effect
// exactly once, and in order.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		w := window{next: 1, limit: limit, queue: 3}
		s := session{outcomes: make(map[uint64]*starlingv1.Outcome)}
		now := time.Unix(0, 0)
		var toSession []*starlingv1.Act
		var toClient []*starlingv1.Outcome
		ended := make(map[string]int)
		asked := 0
		send := func() {
			for {
				a, _ := w.due(now)
				if a == nil {
					return
				}
				toSession = append(toSession, a.act)
			}
		}
		ask := func() {
			text := string(rune('a' + asked))
			if w.add(&action{act: speak(text), done: func(Outcome) { ended[text]++ }}) {
				asked++
			}
		}
		take := func() {
			if len(toClient) == 0 {
				return
			}
			if a := w.outcome(toClient[0], now); a != nil {
				a.done(Outcome{})
			}
			toClient = toClient[1:]
		}
		run := func(refuse bool) {
			if len(toSession) == 0 {
				return
			}
			toClient = append(toClient, s.act(toSession[0], refuse))
			toSession = toSession[1:]
		}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "") {
			case 0, 1:
				ask()
			case 2:
				run(rapid.Bool().Draw(t, "refuse"))
			case 3:
				run(false)
			case 4:
				take()
			case 5:
				now = now.Add(100 * time.Millisecond)
			case 6: // the link breaks, and the session tells what it remembers
				toSession, toClient = nil, s.since(w.lastFinal())
				w.resume()
			}
			send()
			if n := unanswered(&w); n > limit {
				t.Fatalf("%d actions are unanswered, the session takes %d", n, limit)
			}
		}
		for range 200 { // no faults any more: everything ends
			now = now.Add(2 * time.Second)
			send()
			run(false)
			take()
		}
		if len(w.actions) != 0 {
			t.Fatalf("%d actions never ended", len(w.actions))
		}
		if len(s.effects) != asked {
			t.Fatalf("%d effects of %d actions: %v", len(s.effects), asked, s.effects)
		}
		for i, text := range s.effects {
			if want := string(rune('a' + i)); text != want || ended[text] != 1 {
				t.Fatalf("effect %d is %q, which ended %d times", i, text, ended[text])
			}
		}
	})
}

func unanswered(w *window) int {
	n := 0
	for _, a := range w.actions {
		if a.sent {
			n++
		}
	}
	return n
}

func speak(text string) *starlingv1.Act { return SpeakAct(text) }

// session is the other side, as the architecture states it (but it holds no
// early actions).
type session struct {
	last     uint64
	outcomes map[uint64]*starlingv1.Outcome
	effects  []string
}

func (s *session) act(act *starlingv1.Act, refuse bool) *starlingv1.Outcome {
	n := act.Number
	switch {
	case n <= s.last:
		return s.outcomes[n]
	case n > s.last+1:
		return &starlingv1.Outcome{Number: n, Code: starlingv1.Code_OUT_OF_ORDER, Expected: s.last + 1}
	case refuse:
		return &starlingv1.Outcome{Number: n, Code: starlingv1.Code_BUSY, RetryAfterMs: 50}
	}
	s.last = n
	s.effects = append(s.effects, act.GetSpeak().GetText())
	s.outcomes[n] = &starlingv1.Outcome{Number: n, Code: starlingv1.Code_APPLIED}
	return s.outcomes[n]
}

func (s *session) since(last uint64) []*starlingv1.Outcome {
	var all []*starlingv1.Outcome
	for n := last + 1; n <= s.last; n++ {
		all = append(all, s.outcomes[n])
	}
	return all
}

func TestRetryPause(t *testing.T) {
	pause := func(refused int, o *starlingv1.Outcome) time.Duration { return retryPause(o, refused) }
	busy := &starlingv1.Outcome{Number: 3, Code: starlingv1.Code_BUSY}
	for refused, least := range []time.Duration{5, 10, 20, 40} {
		if got := pause(refused, busy); got < least*time.Millisecond || got > least*time.Millisecond*5/4 {
			t.Errorf("refused %d times: %v", refused, got)
		}
	}
	if got := pause(1000, busy); got < mostRetry || got > mostRetry*5/4 {
		t.Errorf("refused without end: %v", got)
	}
	asked := &starlingv1.Outcome{Number: 3, Code: starlingv1.Code_BUSY, RetryAfterMs: 400}
	if got := pause(0, asked); got < 400*time.Millisecond || got > 500*time.Millisecond {
		t.Errorf("asked for 400 ms: %v", got)
	}
	early := &starlingv1.Outcome{Number: 3, Code: starlingv1.Code_OUT_OF_ORDER, Expected: 2}
	if pause(0, early) != 0 || pause(1, early) == 0 {
		t.Error("what came too early follows at once, but not without end")
	}
}
