package server_test

import (
	"strings"
	"testing"
)

// fault befalls the Redis of a world, or the link to it.
type fault struct {
	begin func(*restingWorld) error
	end   func(*restingWorld) error
	past  bool // it lasts until the owner learnt that an append failed
}

var faults = map[string]fault{
	"killed": {
		begin: func(w *restingWorld) error { return w.redis.Kill() },
		end:   func(w *restingWorld) error { return w.redis.Restart(w.t.Context()) }, past: true,
	},
	"paused": {
		begin: func(w *restingWorld) error { return w.redis.Pause() },
		end:   func(w *restingWorld) error { return w.redis.Continue() },
	},
	"paused for long": {
		begin: func(w *restingWorld) error { return w.redis.Pause() },
		end:   func(w *restingWorld) error { return w.redis.Continue() }, past: true,
	},
	"request lost": {
		begin: func(w *restingWorld) error { w.link.Stall(); return nil },
		end:   func(w *restingWorld) error { w.link.Break(); w.link.Heal(); return nil },
	},
	"answer lost": {
		begin: func(w *restingWorld) error { w.link.StallAnswers(); return nil },
		end:   func(w *restingWorld) error { w.link.Break(); w.link.Heal(); return nil },
	},
	"link cut": {
		begin: func(w *restingWorld) error { w.link.Cut(); return nil },
		end:   func(w *restingWorld) error { w.link.Heal(); return nil }, past: true,
	},
}

// Whenever a fault of Redis strikes while pollers rest and batches are unsealed,
// sockets are served while it lasts, what was told is in the log, everybody goes on
// afterwards, and pollers rest again.
func TestFaultsOfRedisWhilePollersRest(t *testing.T) {
	for name, fault := range faults {
		for when, at := range map[string]moment{"as a round goes out": roundGoesOut, "before batches are sealed": roundIsDue} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				w := newRestingWorld(t)
				w.join(4)
				before := w.open()
				struck := w.feed.at(t, at, func() error { return fault.begin(w) })
				w.awake() // they may have rested since, and would not be told to again
				rest := w.play()
				struck()
				w.awake()
				w.serves(before)
				if fault.past {
					eventually(t, "an append to fail", w.appendFailed)
				}
				if err := fault.end(w); err != nil {
					t.Fatal(err)
				}
				w.goesOn()
				rest()
				w.end()
			})
		}
	}
}

// appendFailed says whether the owner was told so since the start.
func (w *restingWorld) appendFailed() bool {
	families, err := w.Metrics().Gather()
	if err != nil {
		w.t.Error(err)
		return true
	}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "starling_actions_log_failures") {
			return family.GetMetric()[0].GetCounter().GetValue() > 0
		}
	}
	w.t.Error("no such metric")
	return true
}
