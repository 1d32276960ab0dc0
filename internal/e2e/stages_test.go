package e2e

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/loadtest/crowd"
)

// BenchmarkStages runs a server in a process of its own under 400 participants
// at 1,000 actions/s in all, in 50 groups of about eight, and measures its CPU
// per action, with either reader of websockets.
//
//	go test -run '^$' -bench Stages -benchtime 1x ./internal/e2e
//
// Profiles of the server, of the same time, divide them by stage; with
// STARLING_PROFILE=DIR they stay in DIR.
func BenchmarkStages(b *testing.B) { eachReader(b, benchmarkStages) }

func benchmarkStages(b *testing.B, reader string) {
	const profiles = "127.0.0.1:18473"
	const measured = 15
	b.Setenv(allocationsVariable, "8192")
	for b.Loop() {
		process, address := startAlone(b, reader, "debug_listen="+profiles)
		latency := crowd.NewLatency(15 * time.Millisecond)
		area := crowd.Taipei()
		area.Clusters, area.Spread, area.Sigma = 50, 4000, 30
		people := crowd.New(crowd.Options{
			URL: "ws://" + address + server.Endpoint, Participants: 400, Rate: 2.5, Others: 0.1, Things: 40, Area: area,
			Seed: 1, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Latency: latency,
			Token: func(name string) (string, error) {
				return auth.Mint([]byte(key), name, server.DevScopes, time.Hour, time.Now())
			},
		})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			people.Run(ctx)
		}()
		<-time.After(5 * time.Second)
		latency.Begin()
		before, cpu := fetch(b, "http://"+address+"/metrics"), cpuTicks(b, process.Pid)
		dir := os.Getenv("STARLING_PROFILE")
		if dir == "" {
			dir = b.TempDir()
		}
		// What was allocated is counted up to a collection.
		keep(b, profiles, "heap?gc=1", filepath.Join(dir, "allocs.before"))
		keep(b, profiles, "profile?seconds="+strconv.Itoa(measured), filepath.Join(dir, "cpu"))
		keep(b, profiles, "heap?gc=1", filepath.Join(dir, "allocs"))
		used := float64(cpuTicks(b, process.Pid)-cpu) * 10_000 // microseconds
		after := fetch(b, "http://"+address+"/metrics")
		figures := latency.Figures()
		cancel()
		<-done
		actions := float64(figures.Actions)
		each := func(name string) float64 { return (metric(b, after, name) - metric(b, before, name)) / actions }
		b.ReportMetric(actions/measured, "actions/s")
		b.ReportMetric(used/actions, "cpu-us/action")
		b.ReportMetric(float64(figures.Seen.Count)/actions, "deliveries/action")
		b.ReportMetric(each("starling_gateway_flushes_total"), "writes/action")
		b.ReportMetric(each("go_memstats_mallocs_total"), "allocs/action")
		b.ReportMetric(each("go_memstats_alloc_bytes_total"), "B/action")
		b.ReportMetric(0, "ns/op")
		for name, share := range shares(byStage(b, filepath.Join(dir, "cpu"), "cpu")) {
			b.ReportMetric(share*used/actions, name+"-us/action")
		}
		for name, objects := range byStage(b, filepath.Join(dir, "allocs"), "alloc_objects", filepath.Join(dir, "allocs.before")) {
			b.ReportMetric(objects/actions, name+"-allocs/action")
		}
		for name, bytes := range byStage(b, filepath.Join(dir, "allocs"), "alloc_space", filepath.Join(dir, "allocs.before")) {
			b.ReportMetric(bytes/actions, name+"-B/action")
		}
		_ = process.Kill()
		_, _ = process.Wait()
	}
}

// keep writes a profile of the server to a file.
func keep(b *testing.B, profiles, name, file string) {
	b.Helper()
	if err := os.WriteFile(file, []byte(fetch(b, "http://"+profiles+"/debug/pprof/"+name)), 0o644); err != nil {
		b.Fatal(err)
	}
}

// cpuTicks reads the user and system time of a process, in ticks of 10 ms, from
// /proc/PID/stat (fields 14 and 15).
func cpuTicks(b *testing.B, pid int) (ticks int) {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks
}
