package gateway

import (
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/hub"
)

// budget is the delivery budget of every participant that asks for no less.
func (c *Config) budget() hub.Budget {
	return hub.Budget{Entities: c.BudgetEntities, Bytes: c.BudgetBytes}
}

// granted is the budget of a client that asked for at most so much.
func (g *Gateway) granted(asked *starlingv1.Budget) hub.Budget {
	return g.hubs.Granted(hub.Budget{
		Entities: float64(asked.GetEntitiesPerSecond()), Bytes: float64(asked.GetBytesPerSecond()),
	})
}

func budgetMessage(b hub.Budget) *starlingv1.Budget {
	return &starlingv1.Budget{EntitiesPerSecond: uint32(b.Entities), BytesPerSecond: uint32(b.Bytes)}
}
