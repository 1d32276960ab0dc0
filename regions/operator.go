package regions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions/directory"
)

// operator answers operators (clusterv1.OperatorServer).
type operator struct {
	clusterv1.UnimplementedOperatorServer
	*Node
}

// answerTime bounds the asking of one owner.
const answerTime = 2 * time.Second

// ListNodes implements clusterv1.OperatorServer.
func (o *operator) ListNodes(context.Context, *clusterv1.ListNodesRequest) (*clusterv1.ListNodesReply, error) {
	v, err := o.view()
	if err != nil {
		return nil, err
	}
	reply := new(clusterv1.ListNodesReply)
	for i := range v.Nodes {
		reply.Nodes = append(reply.Nodes, o.status(&v.Nodes[i]))
	}
	return reply, nil
}

func (o *operator) view() (*directory.View, error) {
	if v := o.Node.View(); v != nil {
		return v, nil
	}
	return nil, status.Error(codes.Unavailable, "not in the directory yet")
}

func (o *operator) status(n *directory.Node) *clusterv1.NodeStatus {
	s := &clusterv1.NodeStatus{
		Node: n.ID, Incarnation: n.Incarnation, Address: n.Address, Version: n.Version,
		Alive: n.Alive, Draining: n.Draining, Left: n.Left, Settled: !n.Unsettled,
		Load: &clusterv1.NodeLoad{
			Shards: uint32(n.Load.Shards), Sessions: uint32(n.Load.Sessions),
			Connections: uint32(n.Load.Connections), ActionsPerSecond: n.Load.ActionsPerSecond,
		},
	}
	for _, r := range n.Roles {
		s.Roles = append(s.Roles, string(r))
	}
	link := o.mesh.Link(n.ID)
	s.Connected = n.ID == o.id || link != nil && link.Up()
	return s
}

// ListShards implements clusterv1.OperatorServer.
func (o *operator) ListShards(ctx context.Context, request *clusterv1.ListShardsRequest) (*clusterv1.ListShardsReply, error) {
	reply := &clusterv1.ListShardsReply{Shards: o.ownShards()}
	if !request.GetOwn() {
		v, err := o.view()
		if err != nil {
			return nil, err
		}
		var mu sync.Mutex
		reply.Silent = o.askOthers(ctx, v, func(ctx context.Context, owner clusterv1.OperatorClient) error {
			theirs, err := owner.ListShards(ctx, &clusterv1.ListShardsRequest{Own: true})
			mu.Lock()
			defer mu.Unlock()
			reply.Shards = append(reply.Shards, theirs.GetShards()...)
			return err
		})
	}
	slices.SortFunc(reply.Shards, func(a, b *clusterv1.ShardStatus) int {
		return cmp.Or(cmp.Compare(a.GetOwner(), b.GetOwner()),
			cmp.Compare(a.GetShard().GetPlace(), b.GetShard().GetPlace()), cmp.Compare(a.GetShard().GetCell(), b.GetShard().GetCell()))
	})
	return reply, nil
}

// askOthers asks all other owners at once, and names those that did not answer.
func (o *operator) askOthers(ctx context.Context, v *directory.View, question func(context.Context, clusterv1.OperatorClient) error) (silent []string) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.ID == o.id || !n.Alive || n.Left || !n.Has(directory.RoleOwner) {
			continue
		}
		asking.Go(func() {
			if o.ask(ctx, n.Address, question) == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			silent = append(silent, n.ID)
		})
	}
	asking.Wait()
	slices.Sort(silent)
	return silent
}

func (o *operator) ask(ctx context.Context, address string, question func(context.Context, clusterv1.OperatorClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := dialOperator(address, o.tls)
	if err != nil {
		return err
	}
	defer conn.Close()
	return question(ctx, clusterv1.NewOperatorClient(conn))
}

// Drain implements clusterv1.OperatorServer.
func (o *operator) Drain(ctx context.Context, request *clusterv1.DrainRequest) (*clusterv1.DrainReply, error) {
	n, err := o.setDrain(ctx, request.GetNode(), true)
	if err != nil {
		return nil, err
	}
	return &clusterv1.DrainReply{Incarnation: n.Incarnation}, nil
}

// Undrain implements clusterv1.OperatorServer.
func (o *operator) Undrain(ctx context.Context, request *clusterv1.UndrainRequest) (*clusterv1.UndrainReply, error) {
	if _, err := o.setDrain(ctx, request.GetNode(), false); err != nil {
		return nil, err
	}
	return new(clusterv1.UndrainReply), nil
}

func (o *operator) setDrain(ctx context.Context, id string, drain bool) (*directory.Node, error) {
	v, err := o.view()
	if err != nil {
		return nil, err
	}
	n := v.Node(id)
	switch {
	case n == nil || n.Left || !n.Alive:
		return nil, status.Errorf(codes.NotFound, "no live process %q", id)
	case !n.Has(directory.RoleOwner):
		return nil, status.Errorf(codes.FailedPrecondition, "%q is no owner", id)
	}
	if err := o.options.Store.SetDrain(ctx, id, n.Incarnation, drain); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return n, nil
}

// DialOperator connects to the operators' service on a process's peer port.
func DialOperator(address string, c TLSConfig) (*grpc.ClientConn, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t, err := loadTLS(c)
	if err != nil {
		return nil, err
	}
	return dialOperator(address, t)
}

func dialOperator(address string, t *tls) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if c := t.credentials(); c != nil {
		creds = c
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, fmt.Errorf("operators' service at %s: %w", address, err)
	}
	return conn, nil
}
