package regions_test

import (
	"context"
	"log/slog"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/pubsub/direct"
	"github.com/starling-vr/starling/regions"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/world"
)

// A process with both roles. The node comes first, because host and gateway are
// made with it; it takes part once it is started with them.
func Example() {
	node, err := regions.New(regions.Options{Config: regions.DefaultConfig(), Store: directory.NewMemory(), Log: slog.Default()})
	if err != nil {
		panic(err)
	}
	broker := direct.New()
	host, gateway := startHost(node), startGateway(node)
	err = node.Start(context.Background(), regions.Parts{
		Owner: host, Broker: broker, Shards: host.Shards,
		LeaseRegained: func(_ uint64, verified func()) { host.Verify(verified) },
		Edge:          gateway.Edge(),
	})
	if err != nil {
		panic(err)
	}
	node.Router().Listen(gateway.RoutesChanged)
}

// startHost makes the owner's host: its Options get the node as Assignment and
// Network, and the node's id.
func startHost(*regions.Node) *actions.Host { panic("see actions.NewHost") }

// startGateway makes the gateway: with node.Router() and node.Bus().
func startGateway(*regions.Node) gatewayLike { panic("see gateway.New") }

// gatewayLike is what a node needs of a gateway (gateway.Gateway has it).
type gatewayLike interface {
	Edge() actions.Edge
	RoutesChanged(affected func(world.ShardID) bool)
}
