package redis

import (
	"sync"
	"sync/atomic"
)

// Feed brings what is to be appended, a gateway's sockets say. While round trips
// follow each other closely it may leave what comes where it is until the next one
// begins: it would wait for that anyhow, and one wake-up serves all of it.
type Feed interface {
	// Rest says that Collect will be called within Config.MaxInterval, and so on
	// after that; or, with false, that it will not: the feed looks after itself.
	Rest(on bool)
	// Collect works off what came until now, on the caller's goroutine, and submits
	// what is to be appended before it returns. Calls may overlap.
	Collect()
}

// BeforeRound has a feed collected before each round trip of a row.
func (l *Log) BeforeRound(f Feed) { l.feed.of.Store(&f) }

// feed counts the lanes that collect.
type feed struct {
	of     atomic.Pointer[Feed]
	mu     sync.Mutex
	drives int
}

// drive says that one lane more collects, or one less.
func (f *feed) drive(on bool) {
	of := f.of.Load()
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.drives > 0
	if on {
		f.drives++
	} else {
		f.drives--
	}
	if is := f.drives > 0; is != was {
		(*of).Rest(is)
	}
}

func (f *feed) collect() {
	if of := f.of.Load(); of != nil {
		(*of).Collect()
	}
}
