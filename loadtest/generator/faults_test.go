package generator_test

import (
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/linkproxy"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// through drives a street through a proxy; at each second of the measured time
// it is told.
func through(t *testing.T, deadline time.Duration, each func(second int, p *linkproxy.Proxy)) *report.Run {
	t.Helper()
	s := serve(t)
	p, err := linkproxy.New(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	const warmup, duration = 300 * time.Millisecond, 4 * time.Second
	r, err := generator.Run(t.Context(), generator.Config{
		Targets: []string{p.Address()}, Token: token, Warmup: warmup, Duration: duration, Deadline: deadline, Grace: 10 * time.Second, Leave: true,
		Crowd: crowd(t, "street", scenario.Options{Participants: 16, Seed: 3, Duration: warmup + duration}),
		Watch: func(s report.Snapshot) {
			if s.Phase == report.Measuring {
				each(int(s.Elapsed/time.Second), p)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	t.Logf("%+v %+v reconnects %d", r.Counts, r.LatencyMS, r.Reconnects)
	return r
}

// A link that stands still for a second makes as much as was due then late, as
// counted from when it was due.
func TestAStalledLinkMakesMisses(t *testing.T) {
	t.Parallel()
	r := through(t, 500*time.Millisecond, func(second int, p *linkproxy.Proxy) {
		switch second {
		case 1:
			p.Stall()
		case 2:
			p.Heal()
		}
	})
	if r.DeliveriesReceived != r.DeliveriesExpected || r.Achieved != r.Offered {
		t.Errorf("%+v", r.Counts)
	}
	if r.DeliveriesMissed < r.DeliveriesExpected/20 || r.DeliveriesMissed == r.DeliveriesExpected || r.LatencyMS.Max < 500 {
		t.Errorf("%+v, %+v", r.Counts, r.LatencyMS)
	}
}

// Connections that break are made again, and their sessions go on; what was told
// meanwhile is missing or came with the baselines.
func TestBrokenConnectionsResume(t *testing.T) {
	t.Parallel()
	r := through(t, 8*time.Second, func(second int, p *linkproxy.Proxy) {
		if second == 2 {
			p.Break()
		}
	})
	if r.Reconnects < 16 {
		t.Errorf("%d reconnects", r.Reconnects)
	}
	if r.Achieved != r.Offered {
		t.Errorf("%+v", r.Counts)
	}
	if r.DeliveriesReceived < r.DeliveriesExpected*9/10 {
		t.Errorf("%+v", r.Counts)
	}
}

// Who comes and goes is expected to see what happens while it is there.
func TestChurn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const text = `
participants = 40
[arrivals]
rate = 10.0
[mix]
move = 0.8
speak = 0.1
grab = 0.1
things = 0.5
[walk]
speed = 1.4
fastest = 3.0
[groups]
size = 8
centre = { lat = 25.0339, lng = 121.5645 }
mean_distance = 15.0
spread = 0.523
[churn]
stay = "2s"
gap = "100ms"
[[storms]]
at = "1500ms"
share = 0.5
over = "300ms"
`
	parsed, err := scenario.Parse("churn", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const warmup, duration = 500 * time.Millisecond, 3 * time.Second
	c, err := scenario.New(parsed, scenario.Options{Seed: 4, Duration: warmup + duration})
	if err != nil {
		t.Fatal(err)
	}
	r, err := generator.Run(t.Context(), generator.Config{
		Targets: []string{s.Address()}, Token: token, Warmup: warmup, Duration: duration, Deadline: 4 * time.Second, Grace: 5 * time.Second,
		Crowd: c, Leave: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d participants in all: %+v %v %v", c.Participants(), r.Counts, r.Notes, r.RefusalsByCode)
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if c.Participants() < 60 || r.Offered < 300 {
		t.Errorf("%d participants, %+v", c.Participants(), r.Counts)
	}
	if r.Achieved < r.Offered/2 || r.DeliveriesReceived < r.DeliveriesExpected/2 { // who left before it could act did not
		t.Errorf("%+v", r.Counts)
	}
}

// Who reads nothing is in no figure, and costs the others nothing.
func TestStuckReaders(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const warmup, duration = 300 * time.Millisecond, time.Second
	c := crowd(t, "street", scenario.Options{Participants: 40, Seed: 5, Duration: warmup + duration})
	r, err := generator.Run(t.Context(), generator.Config{
		Targets: []string{s.Address()}, Token: token, Warmup: warmup, Duration: duration, Deadline: time.Minute, Stuck: 10, Crowd: c, Leave: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two of each group of eight: six act, and six see it.
	if r.Offered < 200 || r.Achieved != r.Offered || r.DeliveriesExpected != 6*r.Offered || r.DeliveriesReceived != r.DeliveriesExpected || r.DeliveriesUncertain != 0 {
		t.Errorf("%+v", r.Counts)
	}
}
