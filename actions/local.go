package actions

import (
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// LocalAssignment is the Assignment of a world with one owner, the node itself:
// all shards are its own, and it is always alive.
type LocalAssignment string

// Owner is the node.
func (a LocalAssignment) Owner(world.ShardID) string { return string(a) }

// Alive is true of the node alone: whoever held a shard before is gone.
func (a LocalAssignment) Alive(node string) bool { return node == string(a) }

// RequestRelease has nobody to ask.
func (a LocalAssignment) RequestRelease(_ string, _ world.ShardID, done func(bool)) { done(false) }

// LeaseValid is always true.
func (a LocalAssignment) LeaseValid() bool { return true }

// LocalNetwork is the Network of a world with one owner.
type LocalNetwork struct{ Owner Owner }

// SendParcel hands the parcel to the owner.
func (n LocalNetwork) SendParcel(_ world.ShardID, envelope *clusterv1.ParcelEnvelope) {
	n.Owner.Parcel(envelope)
}

// SendParcelAck hands the acknowledgement to the owner.
func (n LocalNetwork) SendParcelAck(_ world.ShardID, ack *clusterv1.ParcelAck) {
	n.Owner.ParcelAck(ack)
}
