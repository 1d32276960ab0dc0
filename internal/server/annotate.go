package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/invoke"
	invokemetrics "github.com/starling-vr/starling/invoke/metrics"
	"github.com/starling-vr/starling/workloads/annotate/service"
)

// startScheduler makes the process's scheduler, once: all roles share it, so that
// contracts hold together.
func (s *Server) startScheduler() error {
	if s.scheduler != nil {
		return nil
	}
	s.scheduler = invoke.New(s.settings.scheduler())
	return s.metrics.Register(invokemetrics.New(s.scheduler))
}

// startVerifier makes what checks clients' tokens, once.
func (s *Server) startVerifier(inside context.Context) (err error) {
	if s.verifier == nil {
		s.verifier, err = auth.New(inside, s.settings.Auth)
	}
	return err
}

func (s *Server) startAnnotate(ctx, inside context.Context) error {
	if err := errors.Join(s.startScheduler(), s.startVerifier(inside)); err != nil {
		return err
	}
	deps := service.Deps{Scheduler: s.scheduler, Log: s.log, Registerer: s.metrics, Verify: s.annotator}
	if keep := s.settings.Annotate.Keep; keep > 0 {
		r := s.settings.Store.Redis
		store, err := service.OpenRedis(ctx, service.RedisConfig{Config: r.nodes(), Key: r.Prefix + ":annotations", Length: keep, Log: s.log})
		if err != nil {
			return err
		}
		s.annotations = store
		deps.Store = store
		for name, value := range map[string]func() float64{
			"kept_total":      func() float64 { kept, _ := store.Counts(); return float64(kept) },
			"kept_lost_total": func() float64 { _, lost := store.Counts(); return float64(lost) },
		} {
			help := map[string]string{"kept_total": "Annotations that Redis has taken.", "kept_lost_total": "Annotations that were to be kept and are lost: the queue was full, or Redis did not answer."}[name]
			if err := s.metrics.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "starling", Subsystem: "annotate", Name: name, Help: help}, value)); err != nil {
				return err
			}
		}
	}
	var err error
	s.annotate, err = service.New(s.settings.Annotate, deps)
	return err
}

// annotator says whose token it is.
func (s *Server) annotator(token string, now time.Time) (service.Identity, error) {
	who, err := s.verifier.Verify(token, now)
	return service.Identity{Name: who.Participant, Scopes: who.Scopes, Expires: who.Expires}, err
}

// annotateRoutes adds the paths of annotation to the listener.
func (s *Server) annotateRoutes(mux *http.ServeMux) {
	if s.annotate == nil {
		return
	}
	for _, path := range service.Paths() {
		mux.Handle(path, s.annotate)
	}
}

// haltAnnotate refuses what comes, and closes the store.
func (s *Server) haltAnnotate() {
	if s.annotate != nil {
		s.annotate.Close()
	}
	if s.annotations != nil {
		s.annotations.Close()
	}
}
