package auth

import (
	"strings"
	"sync"
)

// scopeSets keeps the sets of scopes that tokens name: most participants have
// the same ones, and each set need be in memory once.
type scopeSets struct {
	mu   sync.Mutex
	sets map[string][]string // by the claim
}

// maxScopeSets bounds what is kept; sets beyond it are each participant's own.
const maxScopeSets = 256

// of gives the scopes of a claim. They are shared: nobody may change them.
func (s *scopeSets) of(claim string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.sets[claim]; ok {
		return set
	}
	set := strings.Fields(claim)
	if len(s.sets) < maxScopeSets && len(set) <= MaxScopes {
		if s.sets == nil {
			s.sets = make(map[string][]string)
		}
		s.sets[claim] = set
	}
	return set
}
