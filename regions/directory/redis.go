package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisnodes"
)

// RedisConfig says where the table lives in Redis.
type RedisConfig struct {
	Addresses []string // host:port, or unix:/path for one server; several, or Cluster: a Redis Cluster
	Cluster   bool
	Username  string
	Password  string
	TLS       *tls.Config // nil: none
	Prefix    string      // of the keys, default "starling"
}

// redisStore keeps the table in one hash: a field per process, and one per
// drain. Its client is its own, with one connection that nothing else uses, so
// that no load of commits or publications can delay a renewal.
type redisStore struct {
	client redis.UniversalClient
	key    string
}

const (
	nodeField  = "node:"
	drainField = "drain:"
)

// removeScript deletes a record only if it is still the one that was judged: a
// process may come back between the judging and the deleting.
var removeScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  if redis.call('HGET', KEYS[1], ARGV[3]) == ARGV[4] then redis.call('HDEL', KEYS[1], ARGV[3]) end
  return 1
end
return 0`)

// NewRedis opens a table in Redis (standalone or Cluster). It does not connect
// yet.
func NewRedis(cfg RedisConfig) (Store, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("redis directory: no address")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "starling"
	}
	addresses := make([]string, len(cfg.Addresses))
	for i, address := range cfg.Addresses {
		_, addresses[i] = redisnodes.Network(address) // the client knows a path by its slash
	}
	options := &redis.UniversalOptions{
		Addrs:    addresses,
		Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS,
		IsClusterMode: cfg.Cluster,
		PoolSize:      1, MinIdleConns: 1, MaxActiveConns: 2,
		// A renewal that is tried again inside the client would hide from us
		// when it was sent; the next beat is the retry.
		MaxRetries: -1, DialerRetries: 1,
		MaxRedirects: 3,
		DialTimeout:  time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second, PoolTimeout: time.Second,
		ContextTimeoutEnabled: true,
		ConnMaxIdleTime:       -1, ConnMaxLifetime: -1,
		ClientName: "starling-directory",
	}
	return &redisStore{client: redis.NewUniversalClient(options), key: cfg.Prefix + ":{directory}"}, nil
}

// Beat implements Store: HSET and HGETALL in one round trip. Redis runs them in
// the order sent, so the reading shows the writing.
func (s *redisStore) Beat(ctx context.Context, own *Record) (Listing, error) {
	pipe := s.client.Pipeline()
	if own != nil {
		data, err := own.Encode()
		if err != nil {
			return Listing{}, err
		}
		pipe.HSet(ctx, s.key, nodeField+own.ID, data)
	}
	all := pipe.HGetAll(ctx, s.key)
	if _, err := pipe.Exec(ctx); err != nil {
		return Listing{}, fmt.Errorf("redis directory: %w", err)
	}
	return decodeFields(all.Val()), nil
}

// decodeFields reads the hash. What cannot be read is left out: one bad field
// must not hide the others.
func decodeFields(fields map[string]string) Listing {
	l := Listing{Drains: map[string]uint64{}}
	for field, value := range fields {
		if id, ok := strings.CutPrefix(field, nodeField); ok {
			if r, err := DecodeRecord([]byte(value)); err == nil && r.ID == id {
				l.Records = append(l.Records, r)
			}
		} else if id, ok := strings.CutPrefix(field, drainField); ok {
			if incarnation, err := strconv.ParseUint(value, 10, 64); err == nil {
				l.Drains[id] = incarnation
			}
		}
	}
	return l
}

// Remove implements Store.
func (s *redisStore) Remove(ctx context.Context, id string, incarnation, counter uint64) error {
	value, err := s.client.HGet(ctx, s.key, nodeField+id).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("redis directory: %w", err)
	}
	r, err := DecodeRecord([]byte(value))
	if err != nil || r.Incarnation != incarnation || r.Counter != counter {
		return err
	}
	err = removeScript.Eval(ctx, s.client, []string{s.key},
		nodeField+id, value, drainField+id, strconv.FormatUint(incarnation, 10)).Err()
	if err != nil {
		return fmt.Errorf("redis directory: %w", err)
	}
	return nil
}

// SetDrain implements Store.
func (s *redisStore) SetDrain(ctx context.Context, id string, incarnation uint64, drain bool) error {
	var err error
	if drain {
		err = s.client.HSet(ctx, s.key, drainField+id, strconv.FormatUint(incarnation, 10)).Err()
	} else {
		err = s.client.HDel(ctx, s.key, drainField+id).Err()
	}
	if err != nil {
		return fmt.Errorf("redis directory: %w", err)
	}
	return nil
}

// Complete implements Store: other processes may exist whose record Redis lost.
func (s *redisStore) Complete() bool { return false }

// Close implements Store.
func (s *redisStore) Close() error { return s.client.Close() }
