package gateway

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/pubsub/direct"
)

// BenchmarkIdleConnection measures the resident memory of a gateway's process
// per idle connection with a session, its client in another process. The
// scripted owner's part (about 0.7 KiB a session) is in it. Twenty stand at each
// of 200 places.
func BenchmarkIdleConnection(b *testing.B) {
	const connections = 4000
	if os.Getenv("STARLING_IDLE_GATEWAY") != "" {
		serveIdle()
		return
	}
	for b.Loop() {
		command := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=BenchmarkIdleConnection$", "-test.benchtime=1x")
		command.Env = append(os.Environ(), "STARLING_IDLE_GATEWAY=1")
		out, err := command.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := command.Start(); err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		field := func(name string) string {
			for lines.Scan() {
				if rest, ok := strings.CutPrefix(lines.Text(), name+"="); ok {
					return rest
				}
			}
			b.Fatal("the gateway's process ended early")
			return ""
		}
		address := field("address")
		r := &rig{t: b, url: "ws://" + address, key: []byte(idleKey)}
		before := residentMemory(b, command.Process.Pid)
		all := make([]*websocket.Conn, 0, connections)
		for i := range connections {
			h := r.hello("idle-" + strconv.Itoa(i))
			h.Start = position(startLatitude+float64(i/20%20)*0.002, startLongitude+float64(i/400)*0.002)
			dialer := websocket.Dialer{Subprotocols: []string{conn.ProtoSubprotocol}, ReadBufferSize: 1024, WriteBufferSize: 1024}
			ws, _, err := dialer.Dial(r.url, nil)
			if err != nil {
				b.Fatal(err)
			}
			c := &client{t: b, ws: ws}
			c.greet(h)
			all = append(all, ws)
		}
		settle := time.NewTimer(5 * time.Second) // collections, scavenging
		<-settle.C
		after := residentMemory(b, command.Process.Pid)
		b.ReportMetric(float64(after-before)/connections/1024, "KiB/connection")
		for _, ws := range all {
			_ = ws.Close()
		}
		_ = command.Process.Kill()
		_ = command.Wait()
	}
}

const idleKey = "a key of thirty-two bytes or more"

func serveIdle() {
	bus := direct.New()
	verifier, err := auth.NewWithKey([]byte(idleKey))
	if err != nil {
		panic(err)
	}
	config := DefaultConfig()
	config.Node = "idle"
	g, err := New(config, Deps{Router: LocalRouter(newScriptedOwner(bus)), Bus: bus, Auth: verifier})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("address=" + listener.Addr().String() + "\n")
	server := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: 5 * time.Second}
	panic(server.Serve(listener))
}

func residentMemory(b *testing.B, pid int) int {
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
