package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/embedded"
	"github.com/starling-vr/starling/world/memory"
	"github.com/starling-vr/starling/world/redis"
)

// stores are the two things that outlive a process: the logs of the shards, and
// who is there.
type stores struct {
	log       world.Log
	directory directory.Store
}

func openStores(ctx context.Context, s Store, log *slog.Logger) (stores, error) {
	durability, err := world.ParseDurability(s.Durability)
	if err != nil {
		return stores{}, err
	}
	switch s.Kind {
	case "memory":
		return stores{memory.New(), directory.NewMemory()}, nil
	case "embedded":
		kept, err := embedded.Open(embedded.Config{Directory: s.Directory, Durability: durability})
		if err != nil {
			return stores{}, err
		}
		return stores{kept, directory.NewMemory()}, nil
	case "redis":
		return openRedis(ctx, s.Redis, durability, log)
	}
	return stores{}, fmt.Errorf("store.kind %q", s.Kind)
}

func openRedis(ctx context.Context, r Redis, durability world.Durability, log *slog.Logger) (stores, error) {
	kept, err := redis.Open(ctx, redis.Config{
		Config: r.nodes(), Durability: durability, Interval: r.Interval, MaxInterval: max(r.MaxInterval, 1), Timeout: r.Timeout, Prefix: r.Prefix, Logger: log,
	})
	if err != nil {
		return stores{}, err
	}
	who, err := directory.NewRedis(directory.RedisConfig{
		Addresses: r.Addresses, Cluster: r.Cluster, Username: r.Username, Password: r.Password, Prefix: r.Prefix,
	})
	if err != nil {
		return stores{}, errors.Join(err, kept.Close())
	}
	return stores{kept, who}, nil
}

func (r Redis) nodes() redisnodes.Config {
	return redisnodes.Config{Addresses: r.Addresses, Username: r.Username, Password: r.Password}
}

func (s stores) close() error { return errors.Join(s.directory.Close(), s.log.Close()) }

// rounds is a store that appends in rounds.
type rounds interface {
	BeforeRound(redis.Feed)
	AfterRound(func() (ease float64))
}
