package generator_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// join lets a street try to come in.
func join(t *testing.T, ctx context.Context, target string, token func(int) (string, error), watch func(report.Snapshot)) error {
	t.Helper()
	_, err := generator.Run(ctx, generator.Config{
		Targets: []string{target}, Token: token, Warmup: time.Second, Duration: time.Second, RampTime: time.Hour, Watch: watch,
		Crowd: crowd(t, "street", scenario.Options{Participants: 16, Seed: 3, Duration: 2 * time.Second}),
	})
	return err
}

// What lies in the tokens does not get better by trying again: the run ends at
// once, and says why.
func TestTokensThatCannotServe(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, c := range []struct {
		name  string
		token func(int) (string, error)
		why   string
	}{
		{"none left", func(int) (string, error) { return "", errors.New("no more tokens") }, "no more tokens"},
		{"no scope", func(i int) (string, error) {
			return auth.Mint([]byte(key), "walker-"+strconv.Itoa(i), nil, time.Hour, time.Now())
		}, "spawn:thing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := join(t, t.Context(), s.Address(), c.token, nil)
			var joining *generator.JoinError
			if !errors.As(err, &joining) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Why nobody comes in is told while they try.
func TestWhyNobodyComesInIsTold(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := ""
	err = join(t, ctx, nobody, token, func(s report.Snapshot) {
		told = s.Warning
		cancel()
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(told, "connection refused") {
		t.Errorf("%v, told %q", err, told)
	}
}
