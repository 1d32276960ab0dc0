package plan

import (
	"errors"
	"math"
	"time"
)

// Deployment is what serves a crowd.
type Deployment struct {
	Gateways int `json:"gateways"`
	Owners   int `json:"owners"`
	Stores   int `json:"stores"` // Redis nodes that take appends; replicas are not counted
	Cores    int `json:"cores"`  // of each gateway and owner; a store uses one

	// Together: one process is gateway and owner, and it, the store and a load
	// tester share the Cores of one machine, as `starling loadtest crowd --self` has it.
	Together bool `json:"together,omitempty"`

	FlushShare time.Duration `json:"-"` // of gateways; default 4 ms
	Deadline   time.Duration `json:"-"` // D; default 15 ms
}

func (d *Deployment) complete() error {
	if d.Together {
		d.Gateways, d.Owners, d.Stores = 1, 1, 1
	}
	if d.FlushShare == 0 {
		d.FlushShare = 4 * time.Millisecond
	}
	if d.Deadline == 0 {
		d.Deadline = 15 * time.Millisecond
	}
	if d.Gateways < 1 || d.Owners < 1 || d.Stores < 1 || d.Cores < 1 {
		return errors.New("a deployment has at least one gateway, owner, store and core")
	}
	return nil
}

// part is what of a deployment serves a share of the crowd.
type part struct{ gateways, owners, stores portion }

// portion is so many machines of a kind, at least one.
type portion struct {
	count int
	// scale makes costs smaller or larger where count is not exactly what comes to
	// the share.
	scale float64
	// others is how much a machine has to do for other shares, as a multiple of what
	// it does for this one: more than 0 only where less than one comes to the share.
	others float64
}

func (d *Deployment) of(share float64) part {
	p := part{portionOf(d.Gateways, share), portionOf(d.Owners, share), portionOf(d.Stores, share)}
	if g := &p.gateways; g.others > 0 {
		// A share is made for whole gateways; what is missing is an accident.
		g.scale, g.others = 1+g.others, 0
	}
	return p
}

func portionOf(n int, share float64) portion {
	exact := share * float64(n)
	if exact < 1 {
		return portion{count: 1, scale: 1, others: 1/exact - 1}
	}
	whole := math.Round(exact)
	return portion{count: int(whole), scale: whole / exact}
}
