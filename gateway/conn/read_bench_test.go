package conn_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/starling-vr/starling/gateway/conn"
)

// talkVariable makes this test binary the clients of BenchmarkRead: URL,
// connections, messages per second, and how many at a time.
const talkVariable = "STARLING_CONN_TALK"

func TestMain(m *testing.M) {
	if what := os.Getenv(talkVariable); what != "" {
		if err := talk(strings.Fields(what)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// BenchmarkRead measures what it costs the process that reads, kernel included,
// to take a message of 60 bytes from one of 500 connections in another process:
// each message on a connection chosen at random at a random time, or 50 at the
// same time.
func BenchmarkRead(b *testing.B) {
	const connections = 500
	for _, load := range []struct{ rate, together int }{{1000, 1}, {10_000, 1}, {10_000, 50}} {
		for _, w := range []struct {
			way
			pollers int
		}{{ways[0], 1}, {ways[0], 2}, {ways[1], 0}} {
			b.Run(fmt.Sprintf("rate=%d/together=%d/%s-%d", load.rate, load.together, w.name, w.pollers), func(b *testing.B) {
				benchmarkRead(b, conn.Options{Portable: w.portable, Pollers: w.pollers}, connections, load.rate, load.together)
			})
		}
	}
}

type counter struct{ messages atomic.Int64 }

func (c *counter) Messages(_ conn.Conn, payloads [][]byte) {
	c.messages.Add(int64(len(payloads)))
}
func (*counter) Writable(conn.Conn)      {}
func (*counter) Closed(conn.Conn, error) {}

func benchmarkRead(b *testing.B, options conn.Options, connections, rate, together int) {
	upgrader, err := conn.NewUpgrader(options)
	if err != nil {
		b.Fatal(err)
	}
	defer upgrader.Close()
	var count counter
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = upgrader.Upgrade(w, r, func(conn.Conn) conn.Receiver { return &count })
	}))
	defer server.Close()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %d", talkVariable, server.URL, connections, rate, together))
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	await := func(n int64) {
		for start := count.messages.Load(); count.messages.Load() < start+n; {
			<-time.After(20 * time.Millisecond)
		}
	}
	await(int64(rate / 2)) // all are connected, and buffers are warm
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, messages, wakeUps := processTime(b), count.messages.Load(), upgrader.WakeUps()
	for b.Loop() {
		await(int64(2 * rate))
	}
	used, got := processTime(b)-cpu, count.messages.Load()-messages
	runtime.ReadMemStats(&after)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(got), "cpu-us/message")
	if !options.Portable {
		b.ReportMetric(float64(got)/float64(upgrader.WakeUps()-wakeUps), "messages/wake-up")
	}
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(got), "allocs/message")
}

// processTime is the user and system time of this process.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// talk sends messages until it is killed.
func talk(what []string) error {
	var connections, rate, together int
	if _, err := fmt.Sscan(strings.Join(what[1:], " "), &connections, &rate, &together); err != nil {
		return err
	}
	var all []net.Conn
	dialer := websocket.Dialer{Subprotocols: []string{conn.ProtoSubprotocol}}
	for range connections {
		ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(what[0], "http"), nil)
		if err != nil {
			return err
		}
		all = append(all, ws.NetConn())
		go func() { _, _ = io.Copy(io.Discard, ws.NetConn()) }()
	}
	frame := masked(websocket.BinaryMessage, make([]byte, 60))
	for due := time.Now(); ; {
		due = due.Add(time.Duration(rand.ExpFloat64() * float64(time.Second) / float64(rate) * float64(together)))
		if wait := time.Until(due); wait > 0 {
			<-time.After(wait)
		}
		for range together {
			if _, err := all[rand.IntN(len(all))].Write(frame); err != nil {
				return err
			}
		}
	}
}
