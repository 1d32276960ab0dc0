package torture

import (
	"context"
	"time"
)

const stallEvery = 10 * time.Millisecond

// longestStall looks, until ctx ends, how much later than asked a goroutine of
// this process woke up at most, and sends that. Clients run here, too: what
// they waited in such a time says nothing about the servers.
func longestStall(ctx context.Context) <-chan time.Duration {
	longest := make(chan time.Duration, 1)
	go func() {
		most := time.Duration(0)
		for before := time.Now(); pause(ctx, stallEvery); before = time.Now() {
			most = max(most, time.Since(before)-stallEvery)
		}
		longest <- most
	}()
	return longest
}
