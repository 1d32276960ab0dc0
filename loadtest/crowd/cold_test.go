package crowd_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
)

// BenchmarkColdShard opens a session and acts where no shard is loaded: the
// connection, the register, the claim of the shard, its load, the avatar; then
// the first action.
func BenchmarkColdShard(b *testing.B) {
	settings, err := server.Load(config.Sources{Set: []string{
		"listen=127.0.0.1:0", "auth.key=" + benchKey, "store.kind=embedded", "store.directory=" + b.TempDir(), "gateway.drain_time=200ms",
	}})
	if err != nil {
		b.Fatal(err)
	}
	s, err := server.Start(b.Context(), settings, server.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	opened, acted := hdrhistogram.New(1, 60_000_000, 3), hdrhistogram.New(1, 60_000_000, 3)
	for i := 0; b.Loop(); i++ {
		token, err := auth.Mint([]byte(benchKey), fmt.Sprintf("cold-%d", i), nil, time.Hour, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		c, err := starling.Dial(ctx, "ws://"+s.Address()+server.Endpoint, starling.Options{
			Token: starling.StaticToken(token), Start: starling.Geographic(-30+0.1*float64(i%600), -100+0.1*float64(i/600), 0),
		})
		if err != nil {
			b.Fatal(err)
		}
		_ = opened.RecordValue(time.Since(began).Microseconds())
		began = time.Now()
		speak := &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "first"}}}}
		if _, err := c.Act(ctx, speak); err != nil {
			b.Fatal(err)
		}
		_ = acted.RecordValue(time.Since(began).Microseconds())
		cancel()
		_ = c.Close()
	}
	b.ReportMetric(float64(opened.ValueAtQuantile(50))/1000, "open-p50-ms")
	b.ReportMetric(float64(opened.ValueAtQuantile(99))/1000, "open-p99-ms")
	b.ReportMetric(float64(acted.ValueAtQuantile(50))/1000, "act-p50-ms")
	b.ReportMetric(float64(acted.ValueAtQuantile(99))/1000, "act-p99-ms")
}
