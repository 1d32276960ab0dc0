// Package e2e tests whole servers, as their clients meet them: real sockets,
// the real owner, the client library.
package e2e

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
)

// serveVariable makes this test binary a server: its settings, one a line.
const serveVariable = "STARLING_E2E_SERVE"

// allocationsVariable makes that server note one allocation in so many bytes.
const allocationsVariable = "STARLING_E2E_ALLOCATIONS"

func TestMain(m *testing.M) {
	if set := os.Getenv(serveVariable); set != "" {
		serveAlone(strings.Split(set, "\n"))
		return
	}
	goleak.VerifyTestMain(m)
}

// serveAlone serves until SIGTERM, and writes where.
func serveAlone(set []string) {
	if rate, err := strconv.Atoi(os.Getenv(allocationsVariable)); err == nil {
		runtime.MemProfileRate = rate
	}
	settings, err := server.Load(config.Sources{Set: set})
	if err != nil {
		panic(err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := server.Start(context.Background(), settings, server.Options{Log: log})
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("address=" + s.Address() + "\n")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	_ = s.Stop()
}
