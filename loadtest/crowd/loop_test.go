package crowd_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/loadtest/crowd"
)

// The action loop, measured: a crowd against a server process of its own.
//
//	go test -run '^$' -bench Loop -benchtime 1x ./loadtest/crowd -participants 400 -rate 2.5 -seconds 20
var (
	participants = flag.Int("participants", 400, "of BenchmarkLoop")
	rate         = flag.Float64("rate", 2.5, "actions per second of each")
	seconds      = flag.Int("seconds", 15, "measured, after a warm-up of 5")
	clusters     = flag.Int("clusters", 50, "of participants, about 400 m apart")
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "starling-bench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "starling")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/starling").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func BenchmarkLoop(b *testing.B) {
	for _, store := range []string{"embedded/memory", "embedded/disk", "redis/memory", "redis/disk", "redis/replicated"} {
		b.Run(store, func(b *testing.B) { benchmarkLoop(b, filepath.Dir(store), filepath.Base(store)) })
	}
}

// around is an area with so many clusters, far enough apart that people mostly
// see their own.
func around(clusters int) crowd.Area {
	return crowd.Area{Centre: crowd.Taipei().Centre, Clusters: clusters, Spread: 400 * math.Sqrt(float64(clusters)), Sigma: 30, Stay: true}
}

const benchKey = "a key of thirty-two bytes or more"

func benchmarkLoop(b *testing.B, kind, durability string) {
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	set := []string{
		"store.kind=" + kind, "store.durability=" + durability, "store.directory=" + b.TempDir(),
		"auth.key=" + benchKey, "log.format=text", "log.level=warn", "region.id=bench",
	}
	var stores []*os.Process
	if kind == "redis" {
		addresses, processes := startRedis(b, durability)
		set, stores = append(set, "store.redis.addresses="+addresses), processes
		if durability == "replicated" {
			set = append(set, "store.redis.cluster=true")
		}
	}
	address := "127.0.0.1:18471"
	args := []string{"serve", "--listen", address}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	awaitReady(b, address)
	for range b.N {
		latency := crowd.NewLatency(15 * time.Millisecond)
		people := crowd.New(crowd.Options{
			URL: "ws://" + address + server.Endpoint, Participants: *participants, Rate: *rate, Others: 0.1, Things: 40,
			Area: around(*clusters), Seed: uint64(b.N), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Latency: latency,
			Token: func(name string) (string, error) {
				return auth.Mint([]byte(benchKey), name, server.DevScopes, time.Hour, time.Now())
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
		before := cpuSeconds(b, append(stores, cmd.Process))
		<-time.After(time.Duration(*seconds) * time.Second)
		used := cpuSeconds(b, append(stores, cmd.Process)) - before
		f := latency.Figures()
		cancel()
		<-done
		b.ReportMetric(float64(f.Actions)/float64(*seconds), "actions/s")
		b.ReportMetric(float64(f.Seen.Count)/float64(*seconds), "deliveries/s")
		b.ReportMetric(float64(f.Seen.P50)/1000, "p50-ms")
		b.ReportMetric(float64(f.Seen.P99)/1000, "p99-ms")
		b.ReportMetric(float64(f.Seen.P999)/1000, "p99.9-ms")
		b.ReportMetric(float64(f.Seen.Most)/1000, "max-ms")
		b.ReportMetric(100*f.LateRate, "%late")
		b.ReportMetric(used*1e6/float64(f.Actions), "cpu-us/action")
		b.ReportMetric(0, "ns/op")
	}
}

func startRedis(b *testing.B, durability string) (addresses string, processes []*os.Process) {
	b.Helper()
	find := func(pid int) *os.Process {
		p, err := os.FindProcess(pid)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	options := redisproc.Options{AppendOnly: durability == "disk"}
	if durability != "replicated" {
		s, err := redisproc.Start(b.Context(), options)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close() })
		return s.Address(), []*os.Process{find(s.PID())}
	}
	c, err := redisproc.StartCluster(b.Context(), 3, 1, options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	for i, address := range c.Addresses() {
		if i > 0 {
			addresses += ","
		}
		addresses += address
	}
	for _, s := range c.Servers {
		processes = append(processes, find(s.PID()))
	}
	return addresses, processes
}

func awaitReady(b *testing.B, address string) {
	b.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		r, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			b.Fatal("the server does not get ready: ", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// cpuSeconds reads user and system time of processes from /proc/PID/stat
// (fields 14 and 15, in ticks of 10 ms).
func cpuSeconds(b *testing.B, processes []*os.Process) (seconds float64) {
	b.Helper()
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			seconds += float64(ticks) / 100
		}
	}
	return seconds
}
