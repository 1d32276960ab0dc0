package builtin

import (
	"errors"
	"unicode/utf8"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// leave ends the session.
func leave(c *shard.Call) shard.Result {
	c.Leave()
	return shard.Applied()
}

// maxCapacity is the most sessions that a place may be made for.
const maxCapacity = 20_000

var errPlace = errors.New("a place has a name of 1..64 bytes, an anchor on Earth, an extent of 1..5000 m, room for 1..20000 sessions and an access scope of at most 64 bytes")

// createPlace makes a place. It runs in the shard of the place.
func createPlace(c *shard.Call) shard.Result {
	p := c.Act().GetCreatePlace().GetPlace()
	if err := checkPlace(p); err != nil {
		return invalid(err)
	}
	switch err := c.OpenPlace(p); {
	case errors.Is(err, shard.ErrFull):
		return shard.Refuse(starlingv1.Code_LIMIT, "place %d exists; choose another id, or 0", p.Id)
	case err != nil:
		return invalid(err)
	}
	return shard.AppliedTo(world.EntityID(p.Id))
}

func checkPlace(p *starlingv1.Place) error {
	if p == nil || p.Anchor == nil {
		return errPlace
	}
	anchor := world.Geo{Lat: p.Anchor.Latitude, Lng: p.Anchor.Longitude, Alt: p.Anchor.Altitude}
	if err := anchor.Validate(); err != nil {
		return err
	}
	if len(p.Name) < 1 || len(p.Name) > 64 || !utf8.ValidString(p.Name) || !(p.Extent >= 1 && p.Extent <= world.MaxExtent) ||
		p.Capacity < 1 || p.Capacity > maxCapacity || len(p.Access) > 64 || !utf8.ValidString(p.Access) {
		return errPlace
	}
	return nil
}

// closePlace ends a place. It runs in the shard of the place.
func closePlace(c *shard.Call) shard.Result {
	creator, open := c.Creator()
	switch {
	case !open, uint64(c.PlaceID()) != c.Act().GetClosePlace().GetPlace():
		return shard.Refuse(starlingv1.Code_NO_SUCH_PLACE, "there is no open place with this id")
	case creator != c.Participant() && !c.HasScope("place:any"):
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "only its creator closes it, or who has the scope place:any")
	}
	if err := c.ClosePlace(); err != nil {
		return refusal(c, err)
	}
	return shard.Applied()
}
