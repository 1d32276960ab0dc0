package e2e

import (
	"fmt"
	"testing"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
)

// Whoever speaks as soon as they are welcomed hears themselves, in a cell that
// nobody watched and a shard that nobody had loaded, too.
func TestTheFirstWordIsHeard(t *testing.T) {
	for name, set := range map[string][]string{
		"direct": nil,
		"redis": {"store.kind=redis", "bus.kind=redis",
			"store.redis.addresses=" + redistest.Start(t, redisproc.Options{}).Address()},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, set...)
			for i := range 30 {
				where := point{25.0339, 121.5645}.east(float64(i) * 700)
				p := join(t, s, fmt.Sprint("newcomer-", i), starling.Options{Start: where.position()})
				word := fmt.Sprint("good morning ", i)
				p.must(starling.SpeakAct(word))
				eventually(t, word, func() bool {
					return p.heard(func(e *starlingv1.Event) bool { return e.GetText() == word }) == 1
				})
			}
		})
	}
}
