package shard

import (
	"slices"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

func (s *Shard) placeOpen() bool { return s.place != nil && !s.place.Closed }

func (s *Shard) setPlace(change *clusterv1.PlaceChange) {
	s.place = change
	s.open.record.Places = append(s.open.record.Places, change)
	s.open.dirty = true
}

// mayJoin says why a session may not be opened in the place.
func (s *Shard) mayJoin(in *clusterv1.Attach) *clusterv1.ControlReply {
	switch {
	case s.place == nil:
		return refusal(starlingv1.Code_NO_SUCH_PLACE, "there is no place with this id")
	case s.place.Closed:
		return refusal(starlingv1.Code_NO_SUCH_PLACE, "the place is closed")
	case !hasScope(in.Scopes, s.place.Place.GetAccess()):
		return refusal(starlingv1.Code_FORBIDDEN, "the place needs the scope %q", s.place.Place.GetAccess())
	case len(s.sessions) >= int(s.place.Place.GetCapacity()):
		return refusal(starlingv1.Code_LIMIT, "the place is full: %d are in it", len(s.sessions))
	}
	return nil
}

func (s *Shard) placeInfo() *clusterv1.ControlReply {
	if !s.placeOpen() {
		return refusal(starlingv1.Code_NO_SUCH_PLACE, "there is no open place with this id")
	}
	return &clusterv1.ControlReply{Code: starlingv1.Code_APPLIED, Place: s.place.Place}
}

// emptyPlace sends everyone away and removes everything.
func (s *Shard) emptyPlace(by cause) {
	sessions := make([]*session, 0, len(s.sessions))
	for _, x := range s.sessions {
		sessions = append(sessions, x)
	}
	slices.SortFunc(sessions, func(a, b *session) int { return compare(uint64(a.id), uint64(b.id)) })
	for _, x := range sessions {
		s.end(x, clusterv1.SessionClosed_PLACE_CLOSED, by)
	}
	from := len(s.open.undo)
	s.action++
	for _, e := range s.entities {
		s.despawn(e)
	}
	s.settleEntities(from, by)
}
