package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/world"
)

// Submit implements world.Appender. The appends of all shards of a node share
// one connection: what comes while a round trip is under way goes with the next.
func (l *Log) Submit(a *world.Append) {
	if err := l.enter(); err != nil {
		if a.Sealed(true) == world.Sealed {
			a.End(describe(err, "append", a.Shard))
		}
		return
	}
	l.lane(l.ownerOf(a.Shard)).submit(a)
}

// ownerOf is the address of the node that serves a shard.
func (l *Log) ownerOf(shard world.ShardID) string {
	if !l.nodes.Cluster() {
		return l.nodes.Owner(0)
	}
	return l.nodes.Owner(l.keys(shard).slot)
}

func (l *Log) lane(address string) *lane {
	if found, ok := l.lanes.Load(address); ok {
		return found.(*lane)
	}
	found, _ := l.lanes.LoadOrStore(address, newLane(l, address))
	return found.(*lane)
}

// ended ends an append that was submitted. err is nil, or what became of it.
func (l *Log) ended(a *world.Append, err error) {
	defer l.running.Done()
	if err != nil {
		err = describe(err, "append", a.Shard)
	}
	a.End(err)
}

// turnedAway deals with an append that a node answered with an error: it had no
// effect, and is sent again where the answer says so, by a call of its own.
func (l *Log) turnedAway(a *world.Append, why redisError) {
	if !mayPass(string(why)) {
		l.ended(a, l.fail(why))
		return
	}
	go func() {
		defer l.running.Done()
		_, err := l.Append(context.Background(), a.Shard, a.Expect, a.Batch)
		a.End(err)
	}()
}

func mayPass(message string) bool {
	_, redirected := redisnodes.ParseRedirect(message)
	return redirected || redisnodes.HadNoEffect(message) || strings.Contains(message, "Function not found")
}

// redisError is the text of an error reply.
type redisError string

func (e redisError) Error() string { return string(e) }

// RedisError implements redis.Error.
func (redisError) RedisError() {}

var _ redis.Error = redisError("")

// appendCall encodes the call that appends.
func (l *Log) appendCall(out []byte, a *world.Append) []byte {
	var room [96]byte
	then := a.Expect
	then.Sequence++
	out = append(out, "*9\r\n$5\r\nFCALL\r\n$21\r\nstarling_log_1_append\r\n$1\r\n2\r\n"...)
	key := l.appendBase(room[:0], a.Shard)
	out = appendBulk(out, append(key, "tail"...))
	out = appendBulk(out, append(key, "log"...))
	out = appendBulk(out, appendTail(room[:0], a.Expect))
	out = appendBulk(out, appendTail(room[:0], then))
	out = appendBulk(out, appendEntryID(room[:0], then))
	return appendBulk(out, a.Batch)
}

// appendBulk encodes a string of any bytes. Source: Redis serialization protocol
// specification, RESP2.
func appendBulk(out, data []byte) []byte {
	out = append(out, '$')
	out = strconv.AppendInt(out, int64(len(data)), 10)
	out = append(out, '\r', '\n')
	out = append(out, data...)
	return append(out, '\r', '\n')
}

func appendWait(out []byte, milliseconds int64) []byte {
	var room [20]byte
	out = append(out, "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n"...)
	return appendBulk(out, strconv.AppendInt(room[:0], milliseconds, 10))
}

// outcome is what the reply to an append says: nil, a *world.ForeignTailError, or
// a redisError.
func outcome(r reply, a *world.Append) error {
	switch r.kind {
	case ':':
		if r.number == 1 {
			return nil
		}
	case '$':
		found, err := parseHolder(string(r.text))
		if err != nil {
			return err
		}
		return &world.ForeignTailError{Shard: a.Shard, Expect: a.Expect, Found: found}
	case '-':
		return redisError(r.text)
	}
	return fmt.Errorf("unexpected reply of kind %q", r.kind)
}

var errNoReplica = unavailable(errors.New("redis: no replica confirmed in time"))
