package actions

import (
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Edge is a gateway as an owner sees it: where answers go. Methods do not
// block and may be called from many goroutines; what is said of one session
// comes in order.
type Edge interface {
	Node() string
	Outcome(*clusterv1.RoutedOutcome)
	ControlReply(*clusterv1.ControlReply)
	NotMine(*clusterv1.NotMine)
	SessionNotice(*clusterv1.SessionNotice)
	Baseline(pubsub.Message)
}

// Owner is an owner as gateways and other owners see it. Methods do not block;
// answers come through the Edge that is handed in. Messages belong to the owner
// once handed in.
type Owner interface {
	Act(from Edge, act *clusterv1.RoutedAct)
	Control(from Edge, control *clusterv1.Control)
	Renew(from Edge, renew *clusterv1.Renew)
	ReadCell(from Edge, read *clusterv1.ReadCell)
	Parcel(envelope *clusterv1.ParcelEnvelope)
	ParcelAck(ack *clusterv1.ParcelAck)
	// Release hands the shard over: finishes what runs, commits, snapshots,
	// clears the claim. done is called once, when it is released or was not held.
	Release(shard world.ShardID, done func())
}

// Network is what an owner needs of the others. Methods do not block; what
// cannot be delivered now is lost, and the owner sends it again.
type Network interface {
	SendParcel(target world.ShardID, envelope *clusterv1.ParcelEnvelope)
	SendParcelAck(source world.ShardID, ack *clusterv1.ParcelAck)
}

// Assignment says which owner should serve a shard.
type Assignment interface {
	// Owner names the node that should serve the shard, "" if none is known.
	Owner(shard world.ShardID) string
	// Alive says whether the node's lease is held, as far as this process can tell.
	Alive(node string) bool
	// RequestRelease asks the shard's holder to hand it over; done is called
	// once with whether it did.
	RequestRelease(holder string, shard world.ShardID, done func(released bool))
	// LeaseValid says whether this process may still speak for its shards. It
	// reads the clock: false at once after a pause longer than the lease.
	LeaseValid() bool
}
