package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/gateway"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/version"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/direct"
	redisbus "github.com/starling-vr/starling/pubsub/redis"
	"github.com/starling-vr/starling/regions"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/workloads/annotate/service"
	trigger "github.com/starling-vr/starling/workloads/trigger/service"
)

// Options are what a process gets besides its settings.
type Options struct {
	Log      *slog.Logger
	Registry *actions.Registry // a game's own functions; nil: the built-in ones
	// Trigger brings the records of role trigger; nil: the simulated detector does.
	Trigger *trigger.Feed
	// Routes adds to the listener, e.g. the page of dev; trigger says where the trigger's
	// records come from, "" without one.
	Routes func(mux *http.ServeMux, trigger string)
}

// Server is a running process.
type Server struct {
	settings    Settings
	log         *slog.Logger
	metrics     *prometheus.Registry
	stores      stores
	scheduler   *invoke.Scheduler
	broker      *direct.Broker
	redisBus    *redisbus.Bus
	host        *actions.Host
	gateway     *gateway.Gateway
	verifier    auth.Verifier
	annotate    *service.Service
	annotations *service.RedisStore
	trigger     *trigger.Service
	threads     func() // gives back those of the trigger's pollers
	node        *regions.Node
	http        *http.Server
	debug       *http.Server
	listener    net.Listener
	ready       atomic.Bool
	degraded    atomic.Bool // the store of the region does not answer
	cancel      context.CancelFunc
	recovering  struct {
		sync.Mutex
		wanted atomic.Bool
	}
	running sync.WaitGroup
	failed  chan error
	ended   struct{ gateway, node, host bool } // in order, by Stop
}

// Start brings a process up: it returns once it serves. Stop ends it.
func Start(ctx context.Context, settings *Settings, o Options) (*Server, error) {
	if o.Registry == nil {
		o.Registry = actions.NewRegistry()
	}
	if err := settings.Owner.withWork(o.Registry); err != nil {
		return nil, err
	}
	s := &Server{settings: *settings, log: o.Log, threads: func() {}, failed: make(chan error, 2)}
	if err := s.settings.CheckWith(o.Registry, o.Trigger); err != nil {
		return nil, err
	}
	inside, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.metrics = newMetrics(s)
	if err := s.start(ctx, inside, o); err != nil {
		s.halt()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx, inside context.Context, o Options) error {
	if err := calmMonitor(); err != nil {
		s.log.Debug("the runtime's monitor thread stays as it is", "error", err)
	}
	var err error
	if err := s.settings.priority().Process(); err != nil {
		return fmt.Errorf("slice or annotate.nice: %w", err)
	}
	if s.stores, err = openStores(ctx, s.settings.Store, s.log); err != nil {
		return err
	}
	s.node, err = regions.New(regions.Options{
		Config: s.settings.Region, Store: s.stores.directory, Version: version.String(), Log: s.log, Registerer: s.metrics,
	})
	if err != nil {
		return err
	}
	parts := regions.Parts{Failed: s.fail}
	if s.settings.Bus.Kind == "redis" {
		r := s.settings.Store.Redis
		s.redisBus, err = redisbus.Open(ctx, redisbus.Config{Config: r.nodes(), Prefix: r.Prefix, Registerer: s.metrics, Logger: s.log})
		if err != nil {
			return err
		}
	}
	if s.settings.has(directory.RoleOwner) {
		if err := s.startOwner(inside, o.Registry, &parts); err != nil {
			return err
		}
	}
	if s.settings.has(directory.RoleGateway) {
		if err := s.startGateway(inside, &parts); err != nil {
			return err
		}
	}
	if s.settings.has(directory.RoleAnnotate) {
		if err := s.startAnnotate(ctx, inside); err != nil {
			return err
		}
		parts.Functions = s.scheduler.Accounts
	}
	if s.settings.has(directory.RoleTrigger) {
		if err := s.startTrigger(o.Trigger); err != nil {
			return err
		}
		parts.Functions = s.scheduler.Accounts
	}
	if err := s.listen(o.Routes); err != nil {
		return err
	}
	if err := s.node.Start(ctx, parts); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return cannotListen("region.listen", err)
		}
		return err
	}
	s.running.Go(func() { s.watchStore(inside) })
	s.ready.Store(true)
	return nil
}

func (s *Server) startOwner(inside context.Context, registry *actions.Registry, parts *regions.Parts) error {
	if err := s.startScheduler(); err != nil {
		return err
	}
	s.broker = direct.New()
	var out pubsub.Publisher = s.broker
	if s.redisBus != nil {
		out = s.redisBus
	}
	var err error
	s.host, err = actions.NewHost(actions.Options{
		Node: s.node.ID(), Log: s.stores.log, Bus: out, Scheduler: s.scheduler, Registry: registry,
		Assignment: s.node, Network: s.node, Lending: true, Map: s.settings.World.shards(),
		Limits: s.settings.Owner.limits(s.settings.Gateway.ResumeTime), SnapshotBatches: s.settings.Owner.SnapshotBatches,
		RetainAll: s.settings.Owner.RetainLogs, UnloadAfter: s.settings.Owner.UnloadAfter,
		Logger: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	parts.Owner, parts.Broker = s.host, s.broker
	parts.Shards, parts.Functions = s.host.Shards, s.scheduler.Accounts
	parts.LeaseRegained = func(_ uint64, verified func()) { s.host.Verify(verified) }
	parts.AssignmentChanged = func() {
		s.host.AssignmentChanged()
		s.recoverSoon(inside)
	}
	s.node.Router().Listen(s.host.RoutesChanged)
	return nil
}

// recoverSoon looks for shards that lost their owner while something of theirs
// was under way.
func (s *Server) recoverSoon(inside context.Context) {
	if s.recovering.wanted.Swap(true) {
		return // one that waits its turn will see this change, too
	}
	s.running.Go(func() {
		s.recovering.Lock()
		defer s.recovering.Unlock()
		s.recovering.wanted.Store(false)
		_ = s.host.Recover(inside) // the error is that the process ends
	})
}

func (s *Server) startGateway(inside context.Context, parts *regions.Parts) error {
	err := s.startVerifier(inside)
	if err != nil {
		return err
	}
	config := s.settings.Gateway
	config.Node = s.node.ID()
	config.DrainTime = min(config.DrainTime, s.settings.StopTime/2) // the rest is for the shards
	var bus pubsub.Bus = s.node.Bus()
	if s.redisBus != nil {
		bus = s.redisBus
	}
	s.gateway, err = gateway.New(config, gateway.Deps{
		Router: s.node.Router(), Bus: bus, Auth: s.verifier, Log: s.log, Registerer: s.metrics,
		Shards: s.settings.World.shards(), Version: version.String(),
	})
	if err != nil {
		return err
	}
	if rounds, ok := s.stores.log.(rounds); ok && s.redisBus == nil {
		rounds.AfterRound(s.gateway.Told)
		rounds.BeforeRound(s.gateway)
	}
	parts.Edge, parts.Connections = s.gateway.Edge(), s.gateway.Connections
	s.node.Router().Listen(s.gateway.RoutesChanged)
	return nil
}

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed gives an error if the process cannot go on.
func (s *Server) Failed() <-chan error { return s.failed }

// Address is where the listener is, host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Metrics are the metrics of the process, as /metrics shows them.
func (s *Server) Metrics() *prometheus.Registry { return s.metrics }

// PeerAddress is where the other processes, and operators, reach this one.
func (s *Server) PeerAddress() string { return s.node.Address() }

// Node is the id of the process.
func (s *Server) Node() string { return s.node.ID() }

// Stop sends clients elsewhere, hands the shards over and ends the process,
// within Settings.StopTime. What could not be handed over by then is logged.
func (s *Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.settings.StopTime)
	defer cancel()
	s.ready.Store(false)
	began := time.Now()
	var drained error
	if s.annotate != nil {
		s.annotate.Close()
	}
	s.stopTrigger(ctx)
	if s.gateway != nil {
		edge, cancel := context.WithTimeout(ctx, s.settings.StopTime*2/3)
		drained = s.drainGateway(edge)
		cancel()
	}
	handed := s.node.Shutdown(ctx)
	s.ended.node = true
	if s.host != nil {
		handed = errors.Join(handed, s.host.Close(ctx))
		s.ended.host = true
	}
	if handed != nil {
		// No error of this process: the store is away, or the time is over.
		s.log.Warn("went without handing everything over: the others take over as after a crash", "error", handed)
	}
	s.halt()
	s.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return drained
}

// drainGateway waits for clients to go; those who stay are cut off, which is no
// error.
func (s *Server) drainGateway(ctx context.Context) error {
	err := s.gateway.Drain(ctx)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("draining the gateway: %w", err)
	}
	s.ended.gateway = true
	return s.gateway.Close()
}

// halt ends what runs, at once.
func (s *Server) halt() {
	s.haltAnnotate()
	atOnce, cancel := context.WithCancel(context.Background())
	cancel()
	s.stopTrigger(atOnce)
	if s.http != nil {
		_ = s.http.Close()
	}
	if s.debug != nil {
		_ = s.debug.Close()
	}
	if s.gateway != nil && !s.ended.gateway {
		_ = s.gateway.Close()
	}
	if s.node != nil && !s.ended.node {
		s.node.Close()
	}
	if s.host != nil && !s.ended.host {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = s.host.Close(ctx)
		cancel()
	}
	if s.scheduler != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = s.scheduler.Close(ctx)
		cancel()
	}
	if s.broker != nil {
		_ = s.broker.Close()
	}
	if s.redisBus != nil {
		_ = s.redisBus.Close()
	}
	s.cancel()
	s.running.Wait()
	if s.stores.log != nil {
		if err := s.stores.close(); err != nil {
			s.log.Warn("closing the store", "error", err)
		}
	}
}
