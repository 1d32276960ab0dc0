package redis

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/starling-vr/starling/world"
)

//go:embed functions.lua
var functions string

// SettingError: a setting of a Redis node cannot keep what is promised.
type SettingError struct {
	Address string
	Setting string
	Found   string
	Want    string
	Why     string
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("redis at %s has %s %s: set it to %s (%s)", e.Address, e.Setting, e.Found, e.Want, e.Why)
}

// needs lists what a durability level asks of a node.
func needs(d world.Durability) []SettingError {
	all := []SettingError{{Setting: "maxmemory-policy", Want: "noeviction",
		Why: "Redis would otherwise throw parts of the world away when its memory is full"}}
	if d == world.DurabilityDisk {
		why := `durability "disk" promises that what was acknowledged is on disk`
		all = append(all, SettingError{Setting: "appendonly", Want: "yes", Why: why},
			SettingError{Setting: "appendfsync", Want: "always", Why: why})
	}
	return all
}

// checkSettings holds a node's settings against the durability level.
func (l *Log) checkSettings(ctx context.Context, address string) error {
	client, err := l.nodes.Client(address)
	if err != nil {
		return err
	}
	for _, need := range needs(l.config.Durability) {
		found, err := client.ConfigGet(ctx, need.Setting).Result()
		if err != nil {
			return fmt.Errorf("redis at %s does not tell its %s, which must be %s (allow CONFIG GET for this user): %w",
				address, need.Setting, need.Want, err)
		}
		if need.Found = found[need.Setting]; need.Found != need.Want {
			need.Address = address
			return &need
		}
	}
	if l.config.Durability != world.DurabilityReplicated {
		return nil
	}
	info, err := client.Info(ctx, "replication").Result()
	if err != nil {
		return fmt.Errorf("redis at %s: %w", address, err)
	}
	if strings.Contains(info, "connected_slaves:0") {
		l.config.Logger.Warn("a Redis master has no replica: nothing can be committed there at durability replicated until it has one",
			"address", address)
	}
	return nil
}

// loadFunctions loads the library; Redis keeps it through restarts (with AOF)
// and hands it to replicas.
func (l *Log) loadFunctions(ctx context.Context, address string) error {
	client, err := l.nodes.Client(address)
	if err != nil {
		return err
	}
	err = client.FunctionLoadReplace(ctx, functions).Err()
	if err != nil && strings.Contains(err.Error(), "unknown command") {
		return fmt.Errorf("redis at %s is too old: Redis 7.0 or later is needed: %w", address, err)
	}
	if err != nil {
		return fmt.Errorf("redis at %s: loading functions: %w", address, err)
	}
	return nil
}
