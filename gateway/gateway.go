package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/gateway/hub"
	"github.com/starling-vr/starling/gateway/overload"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// Deps is what a gateway works with. Router, Bus and Auth are needed.
type Deps struct {
	Router     Router
	Bus        pubsub.Bus
	Auth       auth.Verifier
	Log        *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is registered
	Shards     world.ShardMap        // zero: world.DefaultShardMap
	Version    string                // of the server, told in Welcome
}

// Gateway is one process's edge.
type Gateway struct {
	config   Config
	router   Router
	bus      pubsub.Bus
	auth     auth.Verifier
	log      *slog.Logger
	shards   world.ShardMap
	version  string
	metrics  *metrics
	hubs     *hub.Hubs
	edge     *edge
	upgrader *conn.Upgrader
	requests requests
	sessions sessionTable
	limits   addressLimits
	overload *overload.Limiter
	draining atomic.Bool

	mu          sync.Mutex
	connections map[*connection]struct{}
	closed      bool

	context context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New starts a gateway. Close ends it.
func New(config Config, deps Deps) (*Gateway, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if deps.Router == nil || deps.Bus == nil || deps.Auth == nil {
		return nil, errors.New("gateway: router, bus and auth are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Shards.CellResolution == 0 {
		deps.Shards = world.DefaultShardMap()
	}
	hubMetrics, err := hub.NewMetrics(deps.Registerer, config.Deadline)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config: config, router: deps.Router, bus: deps.Bus, auth: deps.Auth, log: deps.Log, shards: deps.Shards, version: deps.Version,
		connections: make(map[*connection]struct{}),
	}
	load := overload.NewMeter(runtime.GOMAXPROCS(0))
	g.overload = overload.New(overload.Config{Deadline: config.Deadline, Ages: hubMetrics.Latency.Counts,
		Load: func() overload.Load { return load.Read(time.Now()) }, Relieves: func() bool { return g.hubs.MakesRoom() }})
	if g.upgrader, err = conn.NewUpgrader(conn.Options{
		MaxMessage: int64(config.MaxMessage), SocketBuffer: config.SocketBuffer, CheckOrigin: originCheck(config.Origins),
		Portable: config.Reader == ReaderPortable, Pollers: config.Pollers,
	}); err != nil {
		return nil, err
	}
	if g.metrics, err = newMetrics(deps.Registerer, g); err != nil {
		g.upgrader.Close()
		return nil, err
	}
	g.context, g.cancel = context.WithCancel(context.Background())
	g.edge = &edge{g}
	g.limits.init(config)
	g.hubs = hub.New(hub.Config{
		Hubs: config.Hubs, FlushShare: config.FlushShare, Deadline: config.Deadline, SlowReader: config.SlowReader,
		Budget: config.budget(), Near: config.BudgetNear, Ring: config.Writer == WriterRing,
		Shards: deps.Shards, AppendDisk: hex.AppendDisk, ReadCell: g.readCell, CloseReason: g.closeReason,
	}, hubMetrics, func(h pubsub.Handler) pubsub.Subscription { return deps.Bus.Subscribe(config.Node, h) })
	g.running.Go(g.sweep)
	g.running.Go(g.renew)
	return g, nil
}

// Handler serves the websocket endpoint. The server in front of it must bound
// the time of a request's header (http.Server.ReadHeaderTimeout).
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.accept) }

// Edge is where owners send their answers.
func (g *Gateway) Edge() actions.Edge { return g.edge }

// Connections is how many there are.
func (g *Gateway) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.connections)
}

// Sessions is how many connections have a session.
func (g *Gateway) Sessions() int { return g.sessions.len() }

// Ready says whether new clients should be sent here, and if not why.
func (g *Gateway) Ready() (ok bool, why string) {
	switch {
	case g.draining.Load():
		return false, "gateway is draining"
	case g.context.Err() != nil:
		return false, "gateway is closed"
	}
	return g.bus.Healthy()
}

// Told says that an owner in this process has told all that one round of its
// store committed: what waits for more of it need not. It gives how much time the
// updates have to spare, from 0 (none) to 1.
func (g *Gateway) Told() (ease float64) { return g.hubs.Told() }

// Rest says that sockets may leave what comes until Collect, which an owner in this
// process calls before each round of its store; or, with false, that they may not.
func (g *Gateway) Rest(on bool) { g.upgrader.Rest(on) }

// Collect takes what the sockets brought until now, on the caller's goroutine.
func (g *Gateway) Collect() { g.upgrader.Collect() }

func (g *Gateway) readCell(shard world.ShardID, cell world.Cell, request uint64) {
	g.router.ReadCell(g.edge, &clusterv1.ReadCell{Request: request, Shard: world.ShardMessage(shard), Cell: uint64(cell)})
}

// RoutesChanged says that the shards which affected names may have got another
// owner, or that the way to it was cut and is back: what is under way is sent
// again and the cells are watched again. nil names all shards.
func (g *Gateway) RoutesChanged(affected func(world.ShardID) bool) {
	if affected == nil {
		affected = func(world.ShardID) bool { return true }
	}
	g.hubs.RoutesChanged(affected)
	g.requests.routesChanged(affected)
	g.sessions.each(func(s *session) { s.routeChanged(affected) })
}

// Close ends all connections at once and waits for everything that the gateway
// started. Sessions stay resumable elsewhere.
func (g *Gateway) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.draining.Store(true)
	g.goAway()
	g.cancel()
	g.running.Wait()
	g.hubs.Close()
	g.upgrader.Close()
	return nil
}

// each calls f for every connection there is now.
func (g *Gateway) each(f func(*connection)) {
	g.mu.Lock()
	all := make([]*connection, 0, len(g.connections))
	for c := range g.connections {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

// sweep looks after connections: pings, half-open ones, tokens, actions that
// nobody answers.
func (g *Gateway) sweep() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	routes := time.NewTicker(overload.WindowTime)
	defer routes.Stop()
	for {
		select {
		case <-g.context.Done():
			return
		case <-routes.C:
			now := time.Now()
			if g.config.RefuseOverload {
				g.overload.Tick(now)
			}
			g.sessions.each(func(s *session) { s.lookAfter(now) })
		case <-ticker.C:
			now := time.Now()
			g.each(func(c *connection) { c.lookAfter(now) })
		}
	}
}

// renew tells owners which sessions are present.
func (g *Gateway) renew() {
	ticker := time.NewTicker(g.config.RenewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-g.context.Done():
			return
		case <-ticker.C:
			homes := make(map[world.ShardID][]uint64)
			g.sessions.each(func(s *session) {
				home := s.home()
				homes[home] = append(homes[home], uint64(s.id))
			})
			for home, sessions := range homes {
				g.router.Renew(g.edge, &clusterv1.Renew{Shard: world.ShardMessage(home), Gateway: g.config.Node, Sessions: sessions})
			}
		}
	}
}
