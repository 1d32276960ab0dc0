package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/starling-vr/starling/workloads/annotate/service"
	"github.com/starling-vr/starling/world"
)

// Endpoint is the path of the websocket.
const Endpoint = "/v1/ws"

func (s *Server) listen(routes func(*http.ServeMux, string)) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /functions", s.serveFunctions)
	if s.gateway != nil {
		mux.Handle("GET "+Endpoint, s.gateway.Handler())
	}
	s.annotateRoutes(mux)
	if routes != nil {
		routes(mux, s.triggerSource())
	}
	certificate, err := s.settings.TLS.load()
	if err != nil {
		return err
	}
	if s.listener, err = listenTCP(context.Background(), s.settings.Listen, s.settings.Congestion); err != nil {
		return cannotListen("listen", err)
	}
	s.http = newHTTP(mux, s.log)
	s.http.TLSConfig = certificate
	if s.annotate != nil {
		s.http.ConnContext = service.WithConnection
		// gRPC without TLS
		s.http.Protocols = new(http.Protocols)
		s.http.Protocols.SetHTTP1(true)
		s.http.Protocols.SetHTTP2(true)
		s.http.Protocols.SetUnencryptedHTTP2(true)
	}
	s.serve(s.http, s.listener)
	if s.settings.DebugListen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", s.settings.DebugListen)
	if err != nil {
		return cannotListen("debug_listen", err)
	}
	s.debug = newHTTP(profiles(), s.log)
	s.serve(s.debug, listener)
	s.log.Info("profiles", "url", "http://"+listener.Addr().String()+"/debug/pprof/")
	return nil
}

// listenTCP listens, for connections with a congestion control ("": the system's).
func listenTCP(ctx context.Context, address, congestion string) (net.Listener, error) {
	config := net.ListenConfig{}
	if congestion != "" {
		config.Control = func(_, _ string, c syscall.RawConn) error {
			var failed error
			err := c.Control(func(fd uintptr) { failed = setCongestion(fd, congestion) })
			return errors.Join(err, failed)
		}
	}
	return config.Listen(ctx, "tcp", address)
}

// cannotListen says what to do about an address that cannot be had.
func cannotListen(setting string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w: another process has it; choose another address with --set %s=HOST:PORT (port 0: any free one)", setting, err, setting)
	}
	return fmt.Errorf("%s: %w", setting, err)
}

// load reads the files; nil if none are named.
func (t TLS) load() (*tls.Config, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) serve(server *http.Server, listener net.Listener) {
	s.running.Go(func() {
		var err error
		if server.TLSConfig != nil {
			err = server.ServeTLS(listener, "", "")
		} else {
			err = server.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	ok, why := s.readiness()
	if !ok {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, why)
}

// anyShard has an owner as soon as there is one.
var anyShard = world.ShardID{Place: 1}

// readiness says whether new clients should be sent here. A shared dependency
// that fails is not a reason against it: the peers would be no better.
func (s *Server) readiness() (ok bool, why string) {
	if !s.ready.Load() {
		return false, "starting or stopping"
	}
	if s.degraded.Load() {
		return true, "ready, degraded: the store of the region does not answer"
	}
	if s.gateway != nil && s.node.Owner(anyShard) == "" {
		return false, "no owner serves shards: start one (--roles owner), or `starling shards undrain` it"
	}
	if ok, why := s.busHealthy(); !ok {
		return false, why
	}
	return true, "ready"
}

func (s *Server) busHealthy() (ok bool, why string) {
	if s.gateway == nil || !s.ready.Load() {
		return true, ""
	}
	return s.gateway.Ready()
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
