package server_test

import (
	"testing"

	starling "github.com/starling-vr/starling/clients/go"
)

// When no round comes that would collect what sockets bring, since nobody acts any
// more or Redis does not answer, sockets are served all the same.
func TestNobodyWaitsForARoundThatNeverBegins(t *testing.T) {
	t.Parallel()
	w := newRestingWorld(t)
	w.join(2)
	struck := w.feed.at(t, roundIsDue, func() error { return nil })
	rest := w.play()
	struck()
	before := w.open()
	rest()
	w.serves(before) // it may be that pollers rest still
	w.awake()
	w.serves(w.open())
	w.act(w.players[0])

	before = w.open()
	if err := w.redis.Pause(); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	if err := w.players[1].Do(starling.SpeakAct("is anybody there?"), func(o starling.Outcome) { told <- o.Err }); err != nil {
		t.Fatal(err)
	}
	w.serves(before)
	if err := w.redis.Continue(); err != nil {
		t.Fatal(err)
	}
	await(t, told, func(err error) bool {
		if err != nil {
			t.Error(err)
		}
		return true
	})
	w.act(w.players[0])
	w.awake()

	w.join(1)
	w.act(w.players[len(w.players)-1])
	w.end()
}

func (w *restingWorld) act(p *player) {
	w.t.Helper()
	if _, err := p.Move(w.t.Context(), poseAt(1)); err != nil {
		w.t.Errorf("%s: %v", p.name, err)
	}
	p.applied.Add(1)
}
