package actions

import (
	"context"
	"time"

	"github.com/starling-vr/starling/world"
)

// appenderOf gives the log itself if appends can be submitted to it, otherwise
// one that has a goroutine wait for each.
func appenderOf(log world.Log, timeout time.Duration) world.Appender {
	if a, ok := log.(world.Appender); ok {
		return a
	}
	return waitingAppender{log, timeout}
}

type waitingAppender struct {
	world.Log
	timeout time.Duration
}

// Submit implements world.Appender.
func (w waitingAppender) Submit(a *world.Append) {
	go func() {
		if a.Sealed(true) != world.Sealed {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), w.timeout)
		defer cancel()
		_, err := w.Append(ctx, a.Shard, a.Expect, a.Batch)
		a.End(err)
	}()
}
