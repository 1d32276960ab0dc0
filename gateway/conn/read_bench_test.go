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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/starling-vr/starling/gateway/conn"
)

// talkVariable makes this test binary the clients of BenchmarkRead: URL,
// connections and messages per second.
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
// to take a message of 60 bytes: 500 connections in another process, each
// message on a connection chosen at random, all sent at random times.
func BenchmarkRead(b *testing.B) {
	const connections = 500
	for _, rate := range []int{1000, 3000, 10_000} {
		for _, w := range []struct {
			way
			pollers int
		}{{ways[0], 1}, {ways[0], 2}, {ways[1], 0}} {
			b.Run(fmt.Sprintf("rate=%d/%s-%d", rate, w.name, w.pollers), func(b *testing.B) {
				benchmarkRead(b, conn.Options{Portable: w.portable, Pollers: w.pollers}, connections, rate)
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

func benchmarkRead(b *testing.B, options conn.Options, connections, rate int) {
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
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", talkVariable, server.URL, connections, rate))
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
	connections, err := strconv.Atoi(what[1])
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(what[2])
	if err != nil {
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
	var group sync.WaitGroup
	frame := masked(websocket.BinaryMessage, make([]byte, 60))
	group.Go(func() {
		due := time.Now()
		for {
			due = due.Add(time.Duration(rand.ExpFloat64() * float64(time.Second) / float64(rate)))
			if wait := time.Until(due); wait > 0 {
				<-time.After(wait)
			}
			if _, err := all[rand.IntN(len(all))].Write(frame); err != nil {
				return
			}
		}
	})
	group.Wait()
	return nil
}
