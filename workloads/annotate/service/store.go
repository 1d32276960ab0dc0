package service

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisnodes"
)

// Store keeps annotations.
type Store interface {
	// Keep takes an answer, as JSON, which it must not hold on to, and says whether
	// there was room for it. It does not wait.
	Keep(answer []byte) bool
}

// RedisConfig says where annotations are kept.
type RedisConfig struct {
	redisnodes.Config
	// Key is the name of the stream. Required.
	Key string
	// Length is about how many annotations it holds. Required.
	Length int64
	Log    *slog.Logger
}

// RedisStore appends annotations to a stream of Redis, in the field "annotations",
// after they were answered: several share a round trip. When Redis does not answer,
// they are dropped and counted.
type RedisStore struct {
	config RedisConfig
	nodes  *redisnodes.Nodes
	queue  chan []byte
	end    context.CancelFunc
	ended  sync.WaitGroup
	kept   atomic.Uint64
	lost   atomic.Uint64
}

const (
	storeQueue = 4096
	storeBatch = 128
	storeTime  = 2 * time.Second
)

// OpenRedis connects to Redis and starts to keep.
func OpenRedis(ctx context.Context, c RedisConfig) (*RedisStore, error) {
	nodes, err := redisnodes.Connect(ctx, c.Config)
	if err != nil {
		return nil, fmt.Errorf("annotate.keep: %w", err)
	}
	s := &RedisStore{config: c, nodes: nodes, queue: make(chan []byte, storeQueue)}
	var inside context.Context
	inside, s.end = context.WithCancel(context.Background())
	s.ended.Go(func() { s.run(inside) })
	return s, nil
}

// Keep implements Store.
func (s *RedisStore) Keep(answer []byte) bool {
	select {
	case s.queue <- append([]byte(nil), answer[:len(answer)-1]...): // without the line's end
		return true
	default:
		s.lost.Add(1)
		return false
	}
}

// Counts says how many annotations Redis has taken, and how many were lost.
func (s *RedisStore) Counts() (kept, lost uint64) { return s.kept.Load(), s.lost.Load() }

// Close sends what waits, for as long as one round trip may take, and closes the
// connections.
func (s *RedisStore) Close() {
	s.end()
	s.ended.Wait()
	s.nodes.Close()
}

func (s *RedisStore) run(ctx context.Context) {
	var batch [][]byte
	for {
		select {
		case first := <-s.queue:
			batch = append(batch[:0], first)
		case <-ctx.Done():
			for len(s.queue) > 0 {
				s.send(s.gather(batch[:0]))
			}
			return
		}
		s.send(s.gather(batch))
	}
}

// gather adds what waits, up to a batch.
func (s *RedisStore) gather(batch [][]byte) [][]byte {
	for len(batch) < storeBatch {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func (s *RedisStore) send(batch [][]byte) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	err := s.append(ctx, batch)
	if err != nil {
		s.lost.Add(uint64(len(batch)))
		s.config.Log.Warn("annotations were not kept", "number", len(batch), "error", err)
		_ = s.nodes.Refresh(ctx)
		return
	}
	s.kept.Add(uint64(len(batch)))
}

func (s *RedisStore) append(ctx context.Context, batch [][]byte) error {
	client, err := s.nodes.Client(s.nodes.Owner(redisnodes.Slot(s.config.Key)))
	if err != nil {
		return err
	}
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, answer := range batch {
			p.XAdd(ctx, &redis.XAddArgs{Stream: s.config.Key, MaxLen: s.config.Length, Approx: true, Values: []any{"annotations", answer}})
		}
		return nil
	})
	return err
}
