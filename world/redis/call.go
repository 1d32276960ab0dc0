package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/world"
)

// command is one command about one shard, or two that read.
type command struct {
	slot int
	args []any
	then []any // sent with args, over the same connection
	// committed: the answer counts only once a replica has what was written.
	committed bool
}

// attempts bounds how often a command is sent, when the earlier ones were
// turned away before they had an effect.
const attempts = 6

// call sends a command to the node that serves its slot. It sends it again only
// after an answer which says that it had no effect.
func (l *Log) call(ctx context.Context, c command) (first, second any, err error) {
	if err := l.enter(); err != nil {
		return nil, nil, err
	}
	defer l.running.Done()
	ctx, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	route := l.route(c.slot)
	for range attempts {
		if err := ctx.Err(); err != nil {
			return nil, nil, unavailable(err)
		}
		replies, err := l.send(ctx, route, c)
		if err == nil {
			return replies[0], replies[1], nil
		}
		next, again := l.again(ctx, route, c.slot, err)
		if !again {
			return nil, nil, l.fail(err)
		}
		route = next
	}
	return nil, nil, unavailable(fmt.Errorf("redis: turned away %d times", attempts))
}

// fail sorts an error for the caller: what a function itself said stays, all
// else is unavailable.
func (l *Log) fail(err error) error {
	var reply redis.Error
	if errors.As(err, &reply) {
		if kind, _, _ := strings.Cut(reply.Error(), " "); kind == "EPOCH" || kind == "OLDER" {
			return errors.New(reply.Error())
		}
	}
	l.refreshLater()
	return unavailable(err)
}

// route is where to send a command.
type route struct {
	address string
	asking  bool
}

func (l *Log) route(slot int) route { return route{address: l.nodes.Owner(slot)} }

// send sends a command once.
func (l *Log) send(ctx context.Context, to route, c command) ([2]any, error) {
	var replies [2]any
	client, err := l.nodes.Client(to.address)
	if err != nil {
		return replies, err
	}
	wait := c.committed && l.config.Durability == world.DurabilityReplicated
	if !to.asking && c.then == nil && !wait {
		replies[0], err = client.Do(ctx, c.args...).Result()
		return replies, nilIsNoError(err)
	}
	pipe := client.Pipeline()
	if to.asking {
		pipe.Do(ctx, "ASKING")
	}
	results := []*redis.Cmd{pipe.Do(ctx, c.args...)}
	if c.then != nil {
		if to.asking {
			pipe.Do(ctx, "ASKING")
		}
		results = append(results, pipe.Do(ctx, c.then...))
	}
	var replicas *redis.Cmd
	if wait {
		replicas = pipe.Do(ctx, "WAIT", 1, l.config.ReplicaTimeout.Milliseconds())
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, r := range results {
		if replies[i], err = r.Result(); nilIsNoError(err) != nil {
			return replies, err
		}
	}
	if wait {
		return replies, enoughReplicas(replicas)
	}
	return replies, nil
}

// enoughReplicas checks a WAIT: with none the fate of what was written before
// it is open, because the master may be lost with it.
func enoughReplicas(wait *redis.Cmd) error {
	n, err := wait.Int()
	if err != nil {
		return err
	}
	if n < 1 {
		return unavailable(errors.New("redis: no replica confirmed in time"))
	}
	return nil
}

// nilIsNoError: a key that is not there is an answer, too.
func nilIsNoError(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// again says whether a command had no effect and should be sent once more, and
// where to.
func (l *Log) again(ctx context.Context, was route, slot int, err error) (route, bool) {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return was, false
	}
	message := reply.Error()
	if strings.Contains(message, "Function not found") {
		return was, l.loadFunctions(ctx, was.address) == nil
	}
	if r, ok := redisnodes.ParseRedirect(message); ok {
		if !r.Ask {
			l.moved(ctx, r)
		}
		return route{address: r.Address, asking: r.Ask}, true
	}
	if redisnodes.HadNoEffect(message) {
		pause(ctx, 20*time.Millisecond)
		_ = l.nodes.Refresh(ctx)
		return l.route(slot), true
	}
	return was, false
}

func (l *Log) moved(ctx context.Context, r redisnodes.Redirect) {
	if l.nodes.Refresh(ctx) != nil || l.nodes.Owner(r.Slot) != r.Address {
		l.nodes.Moved(r.Slot, r.Address)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// refreshLater asks the Cluster for its slots, for the calls to come: the node
// that did not answer may have been replaced.
func (l *Log) refreshLater() {
	if !l.nodes.Cluster() || l.enter() != nil {
		return
	}
	go func() {
		defer l.running.Done()
		ctx, cancel := context.WithTimeout(context.Background(), l.config.Timeout)
		defer cancel()
		_ = l.nodes.Refresh(ctx)
	}()
}
