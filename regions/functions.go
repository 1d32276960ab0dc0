package regions

import (
	"cmp"
	"context"
	"slices"
	"sync"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/invoke"
)

// ListFunctions implements clusterv1.OperatorServer.
func (o *operator) ListFunctions(ctx context.Context, request *clusterv1.ListFunctionsRequest) (*clusterv1.ListFunctionsReply, error) {
	reply := new(clusterv1.ListFunctionsReply)
	if o.parts.Functions != nil {
		reply.Functions = FunctionStatuses(o.id, o.parts.Functions())
	}
	if !request.GetOwn() {
		v, err := o.view()
		if err != nil {
			return nil, err
		}
		var mu sync.Mutex
		reply.Silent = o.askOthers(ctx, v, func(ctx context.Context, owner clusterv1.OperatorClient) error {
			theirs, err := owner.ListFunctions(ctx, &clusterv1.ListFunctionsRequest{Own: true})
			mu.Lock()
			defer mu.Unlock()
			reply.Functions = append(reply.Functions, theirs.GetFunctions()...)
			return err
		})
	}
	slices.SortStableFunc(reply.Functions, func(a, b *clusterv1.FunctionStatus) int { return cmp.Compare(a.GetNode(), b.GetNode()) })
	return reply, nil
}

// FunctionStatuses tells accounts as operators are told them.
func FunctionStatuses(node string, accounts *invoke.Accounts) []*clusterv1.FunctionStatus {
	var list []*clusterv1.FunctionStatus
	for i := range accounts.Functions {
		a := &accounts.Functions[i]
		s := &clusterv1.FunctionStatus{
			Node: node, Name: a.Name, Shape: a.Shape.String(), Class: a.Class.String(), PartOf: a.PartOf,
			Contract: &clusterv1.FunctionContract{
				Rate: a.Contract.Rate, Burst: uint64(a.Contract.Burst), DeadlineSeconds: a.Contract.Deadline.Seconds(), Hard: a.Contract.Hard,
				MissTarget: a.Contract.MissTarget, RunTimeSeconds: a.Contract.RunTime.Seconds(), Memory: a.Contract.Memory,
			},
			AgeSeconds: accounts.At.Sub(a.DeployedAt).Seconds(),
			Submitted:  a.Submitted, Guaranteed: a.Guaranteed, Invocations: a.Invocations, Failures: a.Failures,
			Misses: a.Misses, GuaranteedMisses: a.GuaranteedMisses, Refusals: map[string]uint64{},
			Waiting: uint64(a.Waiting), Running: uint64(a.Running),
			QueueSeconds: quantiles(a.QueueTime), RunSeconds: quantiles(a.RunTime),
			LearnedRunSeconds: a.LearnedRunTime.Seconds(), BusySeconds: a.Busy.Seconds(),
			UsedGbS: a.Used, ReservedGbS: a.ReservedMemory, ReservedCoreS: a.ReservedCores,
		}
		for _, reason := range invoke.Reasons() {
			if n := a.Refusals[reason]; n > 0 {
				s.Refusals[reason.String()] = n
			}
		}
		list = append(list, s)
	}
	return list
}

func quantiles(h *invoke.Histogram) *clusterv1.Quantiles {
	return &clusterv1.Quantiles{
		Count: h.Count(), P50: h.Quantile(0.5).Seconds(), P99: h.Quantile(0.99).Seconds(), Max: h.Max().Seconds(),
	}
}
