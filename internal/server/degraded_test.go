package server_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/internal/server"
)

// Fault guarded against: an outage of the shared store takes every process out
// of service, or leaves clients without a word.
func TestAStoreThatIsAwayDegradesAndNothingMore(t *testing.T) {
	for _, bus := range []string{"direct", "redis"} {
		t.Run(bus, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, redisproc.Options{AppendOnly: true})
			s := start(t, "store.kind=redis", "store.durability=disk", "bus.kind="+bus, "store.redis.addresses="+redis.Address())
			defer stop(t, s)
			outage(t, s, redis)
		})
	}
}

func outage(t *testing.T, s *server.Server, redis *redisproc.Server) {
	notices := make(chan *starlingv1.Notice, 10)
	refused := make(chan *starlingv1.Outcome, 1)
	var first sync.Once
	c := join(t, s, "patient", starling.Options{
		OnNotice: func(n *starlingv1.Notice) { notices <- n },
		OnOutcome: func(o *starlingv1.Outcome, _ uint64) {
			if o.Code == starlingv1.Code_UNAVAILABLE {
				first.Do(func() { refused <- o })
			}
		},
	})
	defer c.Close()
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	spoken := make(chan error, 1)
	err := c.Do(starling.SpeakAct("is anybody there?"), func(o starling.Outcome) { spoken <- o.Err })
	if err != nil {
		t.Fatal(err)
	}
	await(t, notices, func(n *starlingv1.Notice) bool { return n.Kind == starlingv1.Notice_DEGRADED })
	await(t, refused, func(o *starlingv1.Outcome) bool { return o.RetryAfterMs > 0 && o.Message != "" })
	if status, body := get(t, s, "/readyz"); status != http.StatusOK || !strings.Contains(body, "degraded") {
		t.Errorf("readiness without the store: %d %s", status, body)
	}
	if _, body := get(t, s, "/metrics"); !strings.Contains(body, "starling_server_degraded 1") {
		t.Error("the metrics do not show it")
	}
	if err := redis.Restart(redistest.Context(t)); err != nil {
		t.Fatal(err)
	}
	await(t, notices, func(n *starlingv1.Notice) bool { return n.Kind == starlingv1.Notice_RECOVERED })
	await(t, spoken, func(err error) bool {
		if err != nil {
			t.Error(err)
		}
		return true
	})
	if _, body := get(t, s, "/readyz"); strings.Contains(body, "degraded") {
		t.Errorf("readiness with the store back: %s", body)
	}
}

// Fault guarded against: a stop while the store is away hangs, or reads as a
// failure of the process.
func TestAStopWithoutTheStoreIsStillAStop(t *testing.T) {
	redis := redistest.Start(t, redisproc.Options{})
	s := start(t, "store.kind=redis", "store.redis.addresses="+redis.Address(), "stop_time=2s")
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
}

// await takes from a channel until something fits. The time for which this process
// itself stood still does not count.
func await[T any](t *testing.T, from <-chan T, fits func(T) bool) {
	t.Helper()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for left := 60; left > 0; {
		select {
		case got := <-from:
			if fits(got) {
				return
			}
		case <-second.C:
			left--
		}
	}
	var want T
	t.Fatalf("no %T came that was waited for", want)
}

func TestAProcessThatStopsIsNotReady(t *testing.T) {
	s := start(t, "gateway.drain_time=1s")
	told := make(chan struct{})
	var once sync.Once
	// Each goes at a random moment of the drain; the last of eight is late.
	for i := range 8 {
		c := join(t, s, "stayer-"+strconv.Itoa(i), starling.Options{OnNotice: func(n *starlingv1.Notice) {
			if n.Kind == starlingv1.Notice_DRAINING {
				once.Do(func() { close(told) })
			}
		}})
		defer c.Close()
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(t, s)
	}()
	<-told
	if status, _ := get(t, s, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("ready while stopping: %d", status)
	}
	if status, _ := get(t, s, "/healthz"); status != http.StatusOK {
		t.Errorf("not healthy while stopping: %d", status)
	}
	<-stopped
}
