package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Endpoint is the path of the websocket.
const Endpoint = "/v1/ws"

func (s *Server) listen(routes func(*http.ServeMux)) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	if s.gateway != nil {
		mux.Handle("GET "+Endpoint, s.gateway.Handler())
	}
	if routes != nil {
		routes(mux)
	}
	var err error
	if s.listener, err = net.Listen("tcp", s.settings.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.http = newHTTP(mux, s.log)
	s.serve(s.http, s.listener, s.settings.TLS)
	if s.settings.DebugListen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", s.settings.DebugListen)
	if err != nil {
		return fmt.Errorf("debug_listen: %w", err)
	}
	s.debug = newHTTP(profiles(), s.log)
	s.serve(s.debug, listener, TLS{})
	s.log.Info("profiles", "url", "http://"+listener.Addr().String()+"/debug/pprof/")
	return nil
}

func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) serve(server *http.Server, listener net.Listener, t TLS) {
	s.running.Go(func() {
		var err error
		if t.Certificate != "" {
			err = server.ServeTLS(listener, t.Certificate, t.Key)
		} else {
			err = server.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
}

// readyz says whether new clients should be sent here. A shared dependency that
// fails is not a reason: the peers would be no better.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
		return
	}
	if s.gateway != nil {
		if ok, why := s.gateway.Ready(); !ok {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = fmt.Fprintln(w, "ready")
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
