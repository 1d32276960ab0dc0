package server

import "github.com/starling-vr/starling/world/redis"

// CollectFrom has the store collect from what wrap makes of the gateway.
func (s *Server) CollectFrom(wrap func(redis.Feed) redis.Feed) {
	s.stores.log.(rounds).BeforeRound(wrap(s.gateway))
}
