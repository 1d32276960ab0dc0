package e2e

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/server"
)

// BenchmarkIdleConnection measures the resident memory of a whole server
// (gateway, owner, memory store) per idle participant, the clients in another
// process: 4,000 of them, twenty at each of 200 places 220 m apart, ring 1.
//
//	go test -run '^$' -bench IdleConnection -benchtime 1x ./internal/e2e
//
// With STARLING_PROFILE=DIR it leaves heap and goroutine profiles there.
func BenchmarkIdleConnection(b *testing.B) {
	eachReader(b, benchmarkIdleConnection)
}

func eachReader(b *testing.B, run func(b *testing.B, setting string)) {
	for _, reader := range []string{gateway.ReaderEpoll, gateway.ReaderPortable} {
		b.Run(reader, func(b *testing.B) { run(b, "gateway.reader="+reader) })
	}
}

func benchmarkIdleConnection(b *testing.B, reader string) {
	const connections, together = 4000, 20
	const profiles = "127.0.0.1:18472"
	for b.Loop() {
		process, address := startAlone(b, reader, "debug_listen="+profiles, "gateway.ping_after=4m", "gateway.idle_time=5m")
		warm := greet(b, address, "warm", starling.Geographic(24.5, 121, 0))
		before := residentMemory(b, process.Pid)
		all := make([]*websocket.Conn, 0, connections)
		for i := range connections {
			spot := i / together
			start := starling.Geographic(25+float64(spot%20)*0.002, 121.5+float64(spot/20)*0.0022, 0)
			all = append(all, greet(b, address, "idle-"+strconv.Itoa(i), start))
		}
		settle := time.NewTimer(8 * time.Second) // collections, scavenging
		<-settle.C
		b.ReportMetric(float64(residentMemory(b, process.Pid)-before)/connections/1024, "KiB/connection")
		metrics := fetch(b, "http://"+address+"/metrics")
		for name, unit := range map[string]string{
			"go_memstats_heap_inuse_bytes": "heap-KiB/connection", "go_memstats_stack_inuse_bytes": "stack-KiB/connection",
		} {
			b.ReportMetric(metric(b, metrics, name)/connections/1024, unit)
		}
		// What the collection of an idle server, every two minutes, leaves.
		_ = fetch(b, "http://"+profiles+"/debug/pprof/heap?gc=1")
		settle.Reset(5 * time.Second)
		<-settle.C
		b.ReportMetric(float64(residentMemory(b, process.Pid)-before)/connections/1024, "KiB/connection-collected")
		if dir := os.Getenv("STARLING_PROFILE"); dir != "" {
			for name, path := range map[string]string{"heap": "heap?gc=1", "goroutine": "goroutine", "goroutines.txt": "goroutine?debug=1"} {
				if err := os.WriteFile(dir+"/"+name, []byte(fetch(b, "http://"+profiles+"/debug/pprof/"+path)), 0o644); err != nil {
					b.Fatal(err)
				}
			}
		}
		for _, ws := range append(all, warm) {
			_ = ws.Close()
		}
		_ = process.Kill()
		_, _ = process.Wait()
		b.ReportMetric(0, "ns/op")
	}
}

// startAlone starts a server in a process of its own.
func startAlone(b *testing.B, set ...string) (process *os.Process, address string) {
	b.Helper()
	command := exec.Command(os.Args[0])
	set = append([]string{"listen=127.0.0.1:0", "auth.key=" + key, "store.kind=memory"}, set...)
	command.Env = append(os.Environ(), serveVariable+"="+strings.Join(set, "\n"))
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "address="); ok {
			return command.Process, address
		}
	}
	b.Fatal("the server ended early")
	return nil, ""
}

// greet opens a session, the plain way: a client that keeps little memory.
func greet(b *testing.B, address, name string, start *starlingv1.Position) *websocket.Conn {
	b.Helper()
	token, err := auth.Mint([]byte(key), name, server.DevScopes, time.Hour, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	dialer := websocket.Dialer{Subprotocols: []string{"starling.v1.proto"}, ReadBufferSize: 1024, WriteBufferSize: 1024}
	ws, _, err := dialer.Dial("ws://"+address+server.Endpoint, nil)
	if err != nil {
		b.Fatal(err)
	}
	hello, err := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{
		Hello: &starlingv1.Hello{Token: token, Ring: 1, Start: start}}}).MarshalVT()
	if err != nil {
		b.Fatal(err)
	}
	if err := ws.WriteMessage(websocket.BinaryMessage, hello); err != nil {
		b.Fatal(err)
	}
	_, payload, err := ws.ReadMessage()
	if err != nil {
		b.Fatal(err)
	}
	var m starlingv1.ServerMessage
	if err := m.UnmarshalVT(payload); err != nil || m.GetWelcome() == nil {
		b.Fatalf("not welcomed: %v %v", &m, err)
	}
	return ws
}

func fetch(b *testing.B, url string) string {
	b.Helper()
	r, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(body)
}

func metric(b *testing.B, text, name string) float64 {
	b.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				b.Fatal(err)
			}
			return number
		}
	}
	b.Fatalf("no metric %s", name)
	return 0
}

func residentMemory(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}
