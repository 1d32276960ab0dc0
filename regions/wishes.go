package regions

import (
	"slices"
	"sync"

	"github.com/starling-vr/starling/world"
)

// place is a cell of a shard.
type place struct {
	shard world.ShardID
	cell  world.Cell
}

// wishes are what the subscribers of this process want to watch, and which of
// that has still to be carried out. Its lock is held for moments only, never
// while a callback runs.
type wishes struct {
	wake chan struct{}

	mu     sync.Mutex
	wanted map[place][]wish
	shards map[world.ShardID]int // wanted cells in each
	serial uint64

	changed []place // in the order of the calls; may name one twice
	routes  map[world.ShardID]struct{}
	all     bool // every shard's route may have changed
	ended   bool
}

// wish is one subscriber's.
type wish struct {
	subscription *subscription
	watchers     uint32
	serial       uint64 // new for each watch that follows an unwatch
}

func newWishes() *wishes {
	return &wishes{wake: make(chan struct{}, 1), wanted: map[place][]wish{}, shards: map[world.ShardID]int{}, routes: map[world.ShardID]struct{}{}}
}

func (w *wishes) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *wishes) set(s *subscription, p place, watchers uint32) {
	w.mu.Lock()
	w.setLocked(s, p, watchers)
	w.mu.Unlock()
	w.signal()
}

func (w *wishes) setLocked(s *subscription, p place, watchers uint32) {
	list := w.wanted[p]
	i := slices.IndexFunc(list, func(x wish) bool { return x.subscription == s })
	switch {
	case i >= 0 && watchers > 0:
		list[i].watchers = watchers
	case i >= 0:
		list = slices.Delete(list, i, i+1)
	case watchers > 0:
		w.serial++
		list = append(list, wish{s, watchers, w.serial})
	default:
		return
	}
	was := len(w.wanted[p]) > 0
	if len(list) > 0 {
		w.wanted[p] = list
	} else {
		delete(w.wanted, p)
	}
	if is := len(list) > 0; is && !was {
		w.shards[p.shard]++
	} else if was && !is {
		if w.shards[p.shard]--; w.shards[p.shard] == 0 {
			delete(w.shards, p.shard)
		}
	}
	w.changed = append(w.changed, p)
}

// drop ends all wishes of a subscriber.
func (w *wishes) drop(s *subscription) {
	w.mu.Lock()
	for p := range w.wanted {
		w.setLocked(s, p, 0)
	}
	w.mu.Unlock()
	w.signal()
}

// of gives the wishes for a place. The list is the caller's.
func (w *wishes) of(p place, list []wish) []wish {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(list[:0], w.wanted[p]...)
}

// reconsider says that a shard's route may have changed.
func (w *wishes) reconsider(shard world.ShardID) {
	w.mu.Lock()
	w.routes[shard] = struct{}{}
	w.mu.Unlock()
	w.signal()
}

// reconsiderAll says so of all shards.
func (w *wishes) reconsiderAll() {
	w.mu.Lock()
	w.all = true
	w.mu.Unlock()
	w.signal()
}

func (w *wishes) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.signal()
}

// again puts back what could not be carried out.
func (w *wishes) again(places []place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = append(places, w.changed...)
}

// take gives what has to be carried out: shards whose routes may have changed,
// and places whose wishes did.
func (w *wishes) take() (routes []world.ShardID, changed []place, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all {
		w.all = false
		for shard := range w.shards {
			w.routes[shard] = struct{}{}
		}
	}
	for shard := range w.routes {
		routes = append(routes, shard)
	}
	clear(w.routes)
	changed, w.changed = w.changed, nil
	return routes, changed, w.ended
}
