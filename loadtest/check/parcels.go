package check

import (
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// route is a pair of shards.
type route struct{ source, target world.ShardID }

// outbox is all that one shard ever sent another.
type outbox struct {
	first, last uint64 // numbers that the log knows of; earlier ones are behind a snapshot
	sent        map[uint64]*parcel
	accepted    uint64
	delivered   uint64
	deliveredAt uint64
	sourceCut   bool
}

// parcel is one outbox entry.
type parcel struct {
	*clusterv1.Parcel
	route
	number     uint64
	at         uint64 // the source's sequence
	accepted   bool
	acceptedAt uint64
}

func shardID(s *clusterv1.ShardId) world.ShardID {
	return world.ShardID{Place: world.PlaceID(s.GetPlace()), Cell: s.GetCell()}
}

func (c *checker) outbox(r route) *outbox {
	o := c.parcels[r]
	if o == nil {
		o = &outbox{sent: make(map[uint64]*parcel)}
		c.parcels[r] = o
	}
	return o
}

// indexParcels notes all that a shard sent.
func (c *checker) indexParcels(s *Shard) {
	if s.Snapshot != nil {
		c.cut = true
		for _, mark := range s.Snapshot.Sent {
			o := c.outbox(route{s.ID, shardID(mark.Target)})
			o.first, o.last, o.sourceCut = mark.Number+1, mark.Number, true
		}
		for _, out := range s.Snapshot.Outgoing {
			o := c.outbox(route{s.ID, shardID(out.Target)})
			o.sent[out.Number] = &parcel{Parcel: out.Parcel, route: route{s.ID, shardID(out.Target)}, number: out.Number, at: s.At}
			o.first = min(o.first, out.Number)
		}
	}
	for _, e := range s.Entries {
		for _, out := range e.Batch.Outgoing {
			r := route{s.ID, shardID(out.Target)}
			o := c.outbox(r)
			if out.Number != o.last+1 {
				c.report(Violation{Rule: ParcelNumbers, Shard: s.ID, Sequence: e.Sequence, Number: out.Number},
					"outbox for %v goes on with %d after %d", r.target, out.Number, o.last)
			}
			o.last = max(o.last, out.Number)
			if o.first == 0 {
				o.first = out.Number
			}
			o.sent[out.Number] = &parcel{Parcel: out.Parcel, route: r, number: out.Number, at: e.Sequence}
		}
	}
}

// accept gives the parcels that a batch accepted, in order.
func (c *checker) accept(s *shard, e *Entry) []*parcel {
	var all []*parcel
	for _, mark := range e.Batch.Watermarks {
		r := route{shardID(mark.Source), s.ID}
		o := c.outbox(r)
		if mark.Number <= o.accepted {
			c.report(Violation{Rule: ParcelOrder, Shard: s.ID, Sequence: e.Sequence, Number: mark.Number},
				"the watermark of %v is %d after %d", r.source, mark.Number, o.accepted)
			continue
		}
		for n := o.accepted + 1; n <= mark.Number; n++ {
			p := o.sent[n]
			if p == nil {
				if !o.sourceCut || n >= o.first {
					c.report(Violation{Rule: ParcelForged, Shard: s.ID, Sequence: e.Sequence, Number: n}, "accepted from %v, which never sent it", r.source)
				}
				continue
			}
			p.accepted, p.acceptedAt = true, e.Sequence
			all = append(all, p)
		}
		o.accepted = mark.Number
	}
	return all
}

// checkParcels looks at what is outstanding at the end.
func (c *checker) checkParcels() {
	for r, o := range c.parcels {
		if o.delivered > o.accepted {
			c.report(Violation{Rule: DeliveredEarly, Shard: r.source, Sequence: o.deliveredAt, Number: o.delivered},
				"removed from the outbox for %v, which accepted up to %d", r.target, o.accepted)
		}
		if c.Quiet && o.accepted < o.last {
			p := o.sent[o.last]
			c.report(Violation{Rule: ParcelLost, Shard: r.source, Sequence: p.at, Number: o.accepted + 1},
				"sent to %v up to %d, which accepted up to %d", r.target, o.last, o.accepted)
		}
	}
}

// handedOver gives the entities in a parcel.
func handedOver(p *clusterv1.Parcel) []*clusterv1.EntityRecord {
	if h := p.GetHandOver(); h != nil {
		return h.Entities
	}
	return p.GetOutcome().GetGrabbed().GetEntities()
}

// sessionIn gives the session in a parcel, nil if there is none.
func sessionIn(p *clusterv1.Parcel) *clusterv1.SessionOpened {
	if h := p.GetHandOver(); h != nil {
		return h.Session
	}
	return p.GetOutcome().GetGrabbed().GetSession()
}
