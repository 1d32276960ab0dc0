package gateway

import (
	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// Router brings messages to the owner of the shard that they name. Methods do
// not block; answers come through the Edge. What cannot be delivered is answered
// NotMine{later} or not at all: the gateway sends it again. A message belongs to
// the router once handed in.
type Router interface {
	Act(from actions.Edge, act *clusterv1.RoutedAct)
	Control(from actions.Edge, control *clusterv1.Control)
	ReadCell(from actions.Edge, read *clusterv1.ReadCell)
	Renew(from actions.Edge, renew *clusterv1.Renew)
}

// LocalRouter routes everything to one owner in this process.
func LocalRouter(owner actions.Owner) Router { return localRouter{owner} }

type localRouter struct{ owner actions.Owner }

func (r localRouter) Act(from actions.Edge, act *clusterv1.RoutedAct) { r.owner.Act(from, act) }
func (r localRouter) Control(from actions.Edge, control *clusterv1.Control) {
	r.owner.Control(from, control)
}
func (r localRouter) ReadCell(from actions.Edge, read *clusterv1.ReadCell) {
	r.owner.ReadCell(from, read)
}
func (r localRouter) Renew(from actions.Edge, renew *clusterv1.Renew) { r.owner.Renew(from, renew) }
