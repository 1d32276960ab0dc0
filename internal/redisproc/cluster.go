package redisproc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const slots = 16384

// Cluster is a Redis Cluster on this machine.
type Cluster struct {
	Servers []*Server // the masters as they were at the start, then their replicas

	masters int
}

// StartCluster starts a Cluster and waits until it is whole: every master holds
// its share of the slots and has its replicas connected.
func StartCluster(ctx context.Context, masters, replicas int, options Options) (*Cluster, error) {
	options.cluster = true
	c := &Cluster{masters: masters}
	err := c.start(ctx, masters*(1+replicas), options)
	if err == nil {
		err = c.join(ctx)
	}
	if err == nil {
		err = c.WaitWhole(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, n int, options Options) error {
	for range n {
		s, err := Start(ctx, options)
		if err != nil {
			return err
		}
		c.Servers = append(c.Servers, s)
	}
	return nil
}

// join makes one Cluster of the servers by CLUSTER commands.
func (c *Cluster) join(ctx context.Context) error {
	first := c.Servers[0]
	for i, s := range c.Servers {
		client := s.Client()
		defer client.Close()
		if err := client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if i < c.masters {
			if err := client.ClusterAddSlotsRange(ctx, slots*i/c.masters, slots*(i+1)/c.masters-1).Err(); err != nil {
				return err
			}
		}
		if i > 0 {
			if err := client.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(first.port)).Err(); err != nil {
				return err
			}
		}
	}
	for i, s := range c.Servers[c.masters:] {
		if err := c.replicate(ctx, s, c.Servers[i%c.masters]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) replicate(ctx context.Context, replica, master *Server) error {
	id, err := nodeID(ctx, master)
	if err != nil {
		return err
	}
	client := replica.Client()
	defer client.Close()
	return poll(ctx, "replica to know its master", func() (bool, error) {
		return client.ClusterReplicate(ctx, id).Err() == nil, nil
	})
}

func nodeID(ctx context.Context, s *Server) (string, error) {
	client := s.Client()
	defer client.Close()
	return client.ClusterMyID(ctx).Result()
}

// poll asks until done says yes or ctx ends.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Addresses of all servers.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, s := range c.Servers {
		all = append(all, s.Address())
	}
	return all
}

// WaitWhole waits until every running server sees all slots served, every
// master among them has the replicas that run, and these are up to date.
func (c *Cluster) WaitWhole(ctx context.Context) error {
	return poll(ctx, "the Cluster to be whole", func() (bool, error) {
		running := 0
		for _, s := range c.Servers {
			if s.PID() != 0 {
				running++
			}
		}
		for _, s := range c.Servers {
			if s.PID() != 0 && !whole(ctx, s, running, len(c.Servers), c.masters) {
				return false, nil
			}
		}
		return true, nil
	})
}

func whole(ctx context.Context, s *Server, running, all, masters int) bool {
	client := s.Client()
	defer client.Close()
	info := client.ClusterInfo(ctx).Val()
	replication := client.Info(ctx, "replication").Val()
	if field(info, "cluster_state") != "ok" || field(info, "cluster_known_nodes") != strconv.Itoa(all) ||
		field(info, "cluster_size") != strconv.Itoa(masters) {
		return false
	}
	if field(replication, "role") == "slave" {
		return field(replication, "master_link_status") == "up"
	}
	return running < all || field(replication, "connected_slaves") == strconv.Itoa(all/masters-1) &&
		strings.Contains(replication, "state=online")
}

// field reads name of an INFO text.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// SlotOf is the slot of a key.
func (c *Cluster) SlotOf(ctx context.Context, key string) (int, error) {
	client := c.any().Client()
	defer client.Close()
	slot, err := client.ClusterKeySlot(ctx, key).Result()
	return int(slot), err
}

func (c *Cluster) any() *Server {
	for _, s := range c.Servers {
		if s.PID() != 0 {
			return s
		}
	}
	return c.Servers[0]
}

// MasterOf gives the server that serves a slot, as the running servers see it.
func (c *Cluster) MasterOf(ctx context.Context, slot int) (*Server, error) {
	client := c.any().Client()
	defer client.Close()
	//lint:ignore SA1019 CLUSTER SHARDS lists failed masters among the rest; CLUSTER SLOTS does not.
	ranges, err := client.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 {
			return c.at(r.Nodes[0].Addr)
		}
	}
	return nil, fmt.Errorf("nobody serves slot %d", slot)
}

func (c *Cluster) at(address string) (*Server, error) {
	for _, s := range c.Servers {
		if s.Address() == address {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s is no server of this Cluster", address)
}

// FailOver kills the master of a slot and waits until a replica serves it.
func (c *Cluster) FailOver(ctx context.Context, slot int) (killed *Server, err error) {
	old, err := c.MasterOf(ctx, slot)
	if err != nil {
		return nil, err
	}
	if err := old.Kill(); err != nil {
		return nil, err
	}
	return old, c.WaitReplaced(ctx, slot, old)
}

// WaitReplaced waits until another server than old serves a slot.
func (c *Cluster) WaitReplaced(ctx context.Context, slot int, old *Server) error {
	return poll(ctx, "the failover", func() (bool, error) {
		s, err := c.MasterOf(ctx, slot)
		if err != nil || s == old {
			return false, nil
		}
		client := s.Client()
		defer client.Close()
		return field(client.ClusterInfo(ctx).Val(), "cluster_state") == "ok", nil
	})
}

// MoveSlot moves a slot with its keys to the next master and gives that one.
func (c *Cluster) MoveSlot(ctx context.Context, slot int) (*Server, error) {
	source, err := c.MasterOf(ctx, slot)
	if err != nil {
		return nil, err
	}
	target, err := c.otherMaster(ctx, source, slot)
	if err != nil {
		return nil, err
	}
	return target, c.migrate(ctx, slot, source, target)
}

func (c *Cluster) otherMaster(ctx context.Context, not *Server, slot int) (*Server, error) {
	for step := 1; step < slots; step += 1000 {
		s, err := c.MasterOf(ctx, (slot+step)%slots)
		if err == nil && s != not {
			return s, nil
		}
	}
	return nil, errors.New("there is only one master")
}

// migrate follows "Live resharding" of the Redis Cluster specification.
func (c *Cluster) migrate(ctx context.Context, slot int, source, target *Server) error {
	sourceID, err := nodeID(ctx, source)
	if err != nil {
		return err
	}
	targetID, err := nodeID(ctx, target)
	if err != nil {
		return err
	}
	from, to := source.Client(), target.Client()
	defer from.Close()
	defer to.Close()
	if err := to.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID).Err(); err != nil {
		return err
	}
	if err := from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID).Err(); err != nil {
		return err
	}
	if err := moveKeys(ctx, slot, from, target); err != nil {
		return err
	}
	for _, client := range []*redis.Client{to, from} {
		if err := client.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", targetID).Err(); err != nil {
			return err
		}
	}
	return nil
}

func moveKeys(ctx context.Context, slot int, from *redis.Client, target *Server) error {
	for {
		keys, err := from.ClusterGetKeysInSlot(ctx, slot, 100).Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		args := []any{"MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		if err := from.Do(ctx, args...).Err(); err != nil {
			return err
		}
	}
}

// Close kills all servers and removes their data.
func (c *Cluster) Close() error {
	var errs []error
	for _, s := range c.Servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
