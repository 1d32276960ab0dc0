package regions

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// Options is what a Node is made of.
type Options struct {
	Config
	Store      directory.Store // closed by whoever opened it, after the node
	Version    string
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Parts are the things of this process that the node joins to the others. What
// belongs to a role that the process does not have stays nil.
type Parts struct {
	Owner  actions.Owner // with role owner
	Broker pubsub.Bus    // with role owner: where its shards are published (pubsub/direct)
	Edge   actions.Edge  // with role gateway

	// Functions lists the accounts of deployed functions. Nil: there are none.
	Functions func() *invoke.Accounts
	// Shards lists the shards that are here (actions.Host.Shards). With role owner.
	Shards func() []actions.ShardStatus
	// Connections tells how many clients are connected here. With role gateway;
	// may be nil.
	Connections func() int

	// LeaseLost: this process may not speak for its shards any more.
	LeaseLost func(term uint64)
	// LeaseRegained: it may again as soon as verified is called, which must be
	// after the tail of every shard still held was read and found ours, the
	// others being dropped (actions.Host.Verify). LeaseValid is false until
	// then. It has a goroutine of its own. Needed with role owner.
	LeaseRegained func(term uint64, verified func())
	// AssignmentChanged: Owner may answer differently for some shards. The node
	// itself releases those that moved.
	AssignmentChanged func()
	// Failed: the process has lost its place (another one took its id). It
	// should end.
	Failed func(error)
}

// Node is one process of a region.
type Node struct {
	options     Options
	id          string
	incarnation uint64
	roles       []directory.Role
	log         *slog.Logger
	metrics     *nodeMetrics
	parts       Parts

	member atomic.Pointer[directory.Member]
	seen   atomic.Pointer[directory.View] // that viewChanged took last
	mesh   *peer.Mesh
	server *grpc.Server
	tls    *tls
	router *Router
	bus    *Bus

	releases releases
	mover    mover
	rates    rates

	ctx       context.Context
	stop      context.CancelFunc
	running   sync.WaitGroup
	address   string // as others reach it
	listening string
}

var (
	_ actions.Assignment = (*Node)(nil)
	_ actions.Network    = (*Node)(nil)
)

// New makes a node that takes part in nothing yet: Start does.
func New(o Options) (*Node, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Store == nil || o.Log == nil {
		return nil, errors.New("regions: a node needs a store and a logger")
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	incarnation := binary.LittleEndian.Uint64(random[:]) | 1
	if o.ID == "" {
		o.ID = randomID(incarnation)
	}
	roles, _ := o.roles()
	n := &Node{options: o, id: o.ID, incarnation: incarnation, roles: roles, log: o.Log.With("node", o.ID)}
	var err error
	if n.metrics, err = newNodeMetrics(o.Registerer); err != nil {
		return nil, err
	}
	if n.tls, err = loadTLS(o.TLS); err != nil {
		return nil, err
	}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.router = newRouter(n)
	n.bus = newBus(n)
	n.mover.init(n)
	n.mesh, err = peer.NewMesh(peer.Options{
		Config: o.Peer, Handler: (*exchange)(n), Log: n.log, Metrics: n.metrics.peer, Dial: n.tls.credentials(),
		Hello: &clusterv1.PeerHello{Node: n.id, Roles: o.Roles, Version: o.Version, Incarnation: incarnation},
	})
	return n, err
}

// randomID is a readable id that no other process has.
func randomID(incarnation uint64) string {
	host, _ := os.Hostname()
	clean := strings.Map(func(c rune) rune {
		if directory.CheckID(string(c)) != nil {
			return -1
		}
		return c
	}, host)
	clean = clean[:min(len(clean), 40)]
	if clean == "" {
		clean = "node"
	}
	return fmt.Sprintf("%s-%08x", clean, uint32(incarnation>>32))
}

// ListenAddress is the address that the peer port listens on. Known after Start.
func (n *Node) ListenAddress() string { return n.listening }

// ID is the node's id.
func (n *Node) ID() string { return n.id }

// Address is where other processes reach the peer port. Known after Start.
func (n *Node) Address() string { return n.address }

// Router is how this process's gateway reaches the owners.
func (n *Node) Router() *Router { return n.router }

// Bus is the bus of this process: its owner publishes to it, its gateway
// subscribes to it, wherever the shards are served.
func (n *Node) Bus() *Bus { return n.bus }

func (n *Node) has(role directory.Role) bool { return slices.Contains(n.roles, role) }

// Start opens the peer port and enters the directory. It returns once this
// process holds its lease; ctx bounds the waiting for that.
func (n *Node) Start(ctx context.Context, parts Parts) error {
	if err := n.checkParts(parts); err != nil {
		return err
	}
	n.parts = parts
	listener, err := net.Listen("tcp", n.options.Listen)
	if err != nil {
		return fmt.Errorf("peer port: %w", err)
	}
	n.listening = listener.Addr().String()
	n.address = n.options.Advertise
	if n.address == "" {
		n.address = n.listening
	}
	options := append(peer.ServerOptions(), grpc.WaitForHandlers(true))
	if n.tls != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(n.tls.config)))
	}
	n.server = grpc.NewServer(options...)
	clusterv1.RegisterPeerServer(n.server, n.mesh)
	clusterv1.RegisterOperatorServer(n.server, &operator{Node: n})
	n.running.Go(func() { _ = n.server.Serve(listener) })
	if err := n.join(ctx); err != nil {
		n.Close()
		return err
	}
	n.running.Go(n.mover.run)
	n.running.Go(n.measure)
	return nil
}

func (n *Node) checkParts(p Parts) error {
	if n.has(directory.RoleOwner) && (p.Owner == nil || p.Broker == nil || p.Shards == nil || p.LeaseRegained == nil) {
		return errors.New("regions: role owner needs Parts.Owner, Broker, Shards and LeaseRegained")
	}
	if n.has(directory.RoleGateway) && p.Edge == nil {
		return errors.New("regions: role gateway needs Parts.Edge")
	}
	return nil
}

func (n *Node) join(ctx context.Context) error {
	member, err := directory.Join(ctx, n.options.Store, directory.Self{
		ID: n.id, Incarnation: n.incarnation, Roles: n.roles, Address: n.address, Version: n.options.Version,
	}, n.options.Directory, directory.Hooks{
		Changed:       n.viewChanged,
		LeaseLost:     n.leaseLost,
		LeaseRegained: n.leaseRegained,
		Failed:        n.parts.Failed,
	}, n.log, n.metrics.directory)
	if err != nil {
		return fmt.Errorf("entering the directory: %w", err)
	}
	n.member.Store(member)
	n.viewChanged(member.View())
	return nil
}

func (n *Node) leaseLost(term uint64) {
	n.log.Warn("the lease is lost: silent until it is renewed and the tails are verified", "term", term)
	if n.parts.LeaseLost != nil {
		n.parts.LeaseLost(term)
	}
}

func (n *Node) leaseRegained(term uint64, verified func()) {
	if n.parts.LeaseRegained == nil {
		verified()
		return
	}
	n.running.Go(func() { n.parts.LeaseRegained(term, verified) })
}

// viewChanged opens the links that are needed and lets everybody look again.
func (n *Node) viewChanged(v *directory.View) {
	var targets []peer.Target
	for i := range v.Nodes {
		m := &v.Nodes[i]
		if m.ID == n.id || !m.Alive || m.Left || !m.Has(directory.RoleOwner) && !n.has(directory.RoleOwner) {
			continue
		}
		targets = append(targets, peer.Target{ID: m.ID, Address: m.Address, Incarnation: m.Incarnation})
	}
	n.mesh.Connect(targets)
	n.mover.wakeUp()
	n.bus.rerouteAll()
	if old := n.seen.Swap(v); old != nil {
		n.router.tell(func(shard world.ShardID) bool { return old.Owner(shard) != v.Owner(shard) })
	}
	if n.parts.AssignmentChanged != nil {
		n.parts.AssignmentChanged()
	}
}

// View is who is there, nil before Start.
func (n *Node) View() *directory.View {
	if m := n.member.Load(); m != nil {
		return m.View()
	}
	return nil
}

// Close ends the node as a crash does: others find out by its silence.
// Shutdown is the polite way.
func (n *Node) Close() {
	if m := n.member.Load(); m != nil {
		m.Abandon()
	}
	n.halt()
}

func (n *Node) halt() {
	n.stop()
	n.mesh.Close()
	if n.server != nil {
		n.server.Stop()
	}
	n.bus.close()
	n.running.Wait()
	n.releases.failAll()
}

// Shutdown hands all shards over, leaves the directory and ends the node. When
// ctx ends first, it goes without having handed over everything, and says so:
// then others take the rest over as after a crash.
func (n *Node) Shutdown(ctx context.Context) error {
	drained := n.Drain(ctx)
	m := n.member.Load()
	if m == nil || drained != nil {
		n.Close()
		return drained
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.options.Directory.Timeout)
	defer cancel()
	err := m.Leave(bound)
	n.halt()
	return err
}

// look reads the directory again at once: somebody else knows better.
func (n *Node) look() {
	if m := n.member.Load(); m != nil {
		m.Look()
	}
}

// Owner implements actions.Assignment.
func (n *Node) Owner(shard world.ShardID) string {
	if m := n.member.Load(); m != nil {
		return m.View().Owner(shard)
	}
	return ""
}

// Alive implements actions.Assignment.
func (n *Node) Alive(node string) bool {
	if m := n.member.Load(); m != nil {
		return m.View().Alive(node)
	}
	return true
}

// LeaseValid implements actions.Assignment.
func (n *Node) LeaseValid() bool {
	m := n.member.Load()
	return m != nil && m.LeaseValid()
}

// LeaseTerm numbers the times that the lease was held without a break. A shard
// whose tail was verified in this term may be spoken for while LeaseValid.
func (n *Node) LeaseTerm() uint64 {
	if m := n.member.Load(); m != nil {
		return m.Term()
	}
	return 0
}
