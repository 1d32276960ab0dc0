package yardstick_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/yardstick"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a yardstick that ends with the test, and gives its address.
func serve(t *testing.T, options yardstick.Options) string {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	address, over := make(chan string, 1), make(chan error, 1)
	go func() {
		over <- yardstick.Serve(ctx, "127.0.0.1:0", options, func(at string) { address <- at })
	}()
	t.Cleanup(func() {
		end()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	select {
	case at := <-address:
		return at
	case err := <-over:
		over <- nil
		t.Fatal(err)
		return ""
	}
}

// drive lets a crowd act against a yardstick.
func drive(t *testing.T, address, name string, participants int, rate float64) *report.Run {
	t.Helper()
	s, err := scenario.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	const warmup, duration = 300 * time.Millisecond, 1500 * time.Millisecond
	crowd, err := scenario.New(s, scenario.Options{Participants: participants, Rate: rate, Seed: 7, Duration: warmup + duration})
	if err != nil {
		t.Fatal(err)
	}
	places, err := generator.CreatePlaces(t.Context(), "ws://"+address, "any", crowd.Places())
	if err != nil {
		t.Fatal(err)
	}
	defer places.Close(context.WithoutCancel(t.Context()), true)
	r, err := generator.Run(t.Context(), generator.Config{
		Targets: []string{"ws://" + address}, Crowd: crowd, Warmup: warmup, Duration: duration, Grace: 20 * time.Second, Leave: true,
		Places: places.IDs, Token: func(int) (string, error) { return "any", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Everyone who must see an action sees it, by the load tester's own reckoning,
// whatever the crowd does and however long writes wait.
func TestAllThatIsExpectedIsDelivered(t *testing.T) {
	for name, c := range map[string]struct {
		options      yardstick.Options
		scenario     string
		participants int
	}{
		"at once":         {yardstick.Options{}, "street", 64},
		"for company":     {yardstick.Options{Wait: 10 * time.Millisecond, Congestion: "no such thing"}, "street", 64},
		"in places":       {yardstick.Options{Pollers: 3}, "stand-out", 80},
		"across cells":    {yardstick.Options{Pollers: 4, Wait: time.Millisecond}, "safari-zone", 120},
		"with one thread": {yardstick.Options{Pollers: 1}, "sparse", 40},
	} {
		t.Run(name, func(t *testing.T) {
			r := drive(t, serve(t, c.options), c.scenario, c.participants, 5)
			if r.Offered < 100 || r.Achieved != r.Offered || r.DeliveriesExpected < r.Offered || r.DeliveriesReceived != r.DeliveriesExpected || r.Reconnects != 0 {
				t.Errorf("offered %d, achieved %d, deliveries %d of %d, %d reconnects\n%v", r.Offered, r.Achieved, r.DeliveriesReceived, r.DeliveriesExpected, r.Reconnects, r.Notes)
			}
			if r.DeliveriesConflated != 0 {
				t.Errorf("%d came within later states: nothing is left out here", r.DeliveriesConflated)
			}
			if waited := float64(c.options.Wait.Milliseconds()); r.LatencyMS.P50 < waited {
				t.Errorf("the median is %.2f ms, sooner than the wait of %.0f ms", r.LatencyMS.P50, waited)
			}
		})
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for _, o := range []yardstick.Options{{Pollers: -1}, {Pollers: 65}, {Wait: -time.Second}, {Wait: time.Minute}} {
		if err := yardstick.Serve(t.Context(), "127.0.0.1:0", o, func(string) { t.Error("it serves") }); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
