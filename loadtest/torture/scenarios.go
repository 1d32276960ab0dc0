package torture

import (
	"context"
	"errors"
	"fmt"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
)

// Times that faults last.
const (
	pausedFor    = 3 * time.Second // twice what a lease lives
	cutFor       = 2 * time.Second
	redisAwayFor = time.Second
	shortResume  = 5 * time.Second
	longResume   = 20 * time.Second
)

// shape is what most faults are done to.
func shape(durability world.Durability) Shape {
	return Shape{Gateways: 2, Owners: 3, Durability: durability, Resume: longResume}
}

// Scenarios are all faults, in the order in which they are run.
func Scenarios() []Scenario {
	leave := shape(world.DurabilityMemory)
	leave.Resume = shortResume
	return []Scenario{
		{Name: "none", Shape: shape(world.DurabilityMemory), Fault: nothing},
		{Name: "owner-killed", Shape: shape(world.DurabilityMemory), Fault: ownerKilled},
		{Name: "owner-paused", Shape: shape(world.DurabilityMemory), Fault: ownerPaused},
		{Name: "gateway-killed", Shape: leave, Fault: gatewayKilled},
		{Name: "redis-killed", Shape: shape(world.DurabilityDisk), Fault: redisKilled},
		{Name: "master-killed", Shape: shape(world.DurabilityReplicated), Fault: masterKilled},
		{Name: "link-cut", Shape: shape(world.DurabilityMemory), Fault: linkCut},
		{Name: "rolling-restart", Shape: shape(world.DurabilityMemory), Fault: rollingRestart},
		{Name: "owner-drained", Shape: shape(world.DurabilityMemory), Fault: ownerDrained},
	}
}

// ScenarioNamed finds one of Scenarios.
func ScenarioNamed(name string) (Scenario, bool) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// anOwner draws one that holds shards.
func (r *Run) anOwner(ctx context.Context) (*Process, map[world.ShardID]world.Holder, error) {
	for _, i := range r.Random.Perm(len(r.Cluster.Owners)) {
		p := r.Cluster.Owners[i]
		if held, err := r.Cluster.HeldBy(ctx, p); err != nil || len(held) > 0 {
			return p, held, err
		}
	}
	return nil, nil, errors.New("no owner holds a shard")
}

// nothing lets the crowd act: what clients wait then is what a fault is held
// against.
func nothing(ctx context.Context, _ *Run) error {
	pause(ctx, 3*time.Second)
	return nil
}

// busy waits for an instant at which somebody waits for an outcome: now, nearly
// always.
func (r *Run) busy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		if r.Report.InFlight = r.Players.InFlight(); r.Report.InFlight > 0 || !pause(ctx, time.Millisecond) {
			return
		}
	}
}

func ownerKilled(ctx context.Context, r *Run) error {
	victim, held, err := r.anOwner(ctx)
	if err != nil {
		return err
	}
	r.busy(ctx)
	killed := time.Now()
	if err := victim.Kill(); err != nil {
		return err
	}
	if err := r.takenOver(ctx, victim, held, killed); err != nil {
		return err
	}
	return victim.Start(ctx)
}

// takenOver watches until others have committed something to the shards that a
// process held and that have players: whose loss somebody notices.
func (r *Run) takenOver(ctx context.Context, victim *Process, held map[world.ShardID]world.Holder, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	players := r.Players.shards()
	open := make(map[world.ShardID]world.Holder, len(held))
	for id, h := range held {
		if players[id] >= watched {
			open[id] = h
		}
	}
	r.Report.Idle = len(held) - len(open)
	err := poll(ctx, "the shards to be served again", func() (bool, error) {
		for id, was := range open {
			now, err := r.Cluster.Log.Tail(ctx, id)
			if err != nil {
				continue // of a store that is away for the moment
			}
			if now.Epoch > was.Epoch && now.Owner != victim.Name && now.Sequence > was.Sequence && r.committedBy(ctx, id, now) {
				r.Report.TakeOver = append(r.Report.TakeOver, time.Since(since))
				delete(open, id)
			}
		}
		return len(open) == 0, nil
	})
	for id, was := range open {
		now, _ := r.Cluster.Log.Tail(context.WithoutCancel(ctx), id)
		return fmt.Errorf("%w: %v with %d players was not; it was %+v, is %+v", err, id, players[id], was, now)
	}
	return err
}

// watched is how many players make sure that a shard is asked for something
// within a fraction of a second.
const watched = 5

// committedBy says whether the newest entry is of the present epoch.
func (r *Run) committedBy(ctx context.Context, id world.ShardID, now world.Holder) bool {
	entries, err := r.Cluster.Log.Read(ctx, id, now.Sequence, 1)
	return err == nil && len(entries) > 0 && entries[0].Epoch == now.Epoch
}

func ownerPaused(ctx context.Context, r *Run) error {
	victim, _, err := r.anOwner(ctx)
	if err != nil {
		return err
	}
	r.busy(ctx)
	stopped := time.Now()
	if err := victim.Pause(); err != nil {
		return err
	}
	held, err := r.Cluster.HeldBy(ctx, victim)
	if err != nil {
		return errors.Join(err, victim.Continue())
	}
	err = r.takenOver(ctx, victim, held, stopped)
	pause(ctx, pausedFor-time.Since(stopped))
	if err := errors.Join(err, victim.Continue()); err != nil {
		return err
	}
	// That it commits nothing more, and tells nothing that was not committed or
	// that takes a view back to its epoch, is for the checker to see.
	pause(ctx, time.Second)
	return nil
}

func gatewayKilled(ctx context.Context, r *Run) error {
	victim := r.Cluster.Gateways[r.Random.IntN(len(r.Cluster.Gateways))]
	there := r.Players.at(victim)
	if err := victim.Kill(); err != nil {
		return err
	}
	killed := time.Now()
	absent := make(map[uint64]string)
	leave(there[:len(there)/5])
	for _, one := range there[:len(there)/5] {
		absent[one.client.Session().ID] = one.name
	}
	r.Report.Absent = len(absent)
	pause(ctx, time.Second)
	r.after = append(r.after, func(_ context.Context, shards []check.Shard) error { return haveLeft(shards, absent) })
	if err := victim.Start(ctx); err != nil {
		return err
	}
	// The logs stand still only once they have left.
	pause(ctx, r.Scenario.Shape.Resume-time.Since(killed))
	return nil
}

// haveLeft looks whether sessions ended because nobody renewed them.
func haveLeft(shards []check.Shard, absent map[uint64]string) error {
	for i := range shards {
		for _, e := range shards[i].Entries {
			for _, closed := range e.Batch.SessionsClosed {
				if closed.Why == clusterv1.SessionClosed_ABSENT {
					if absent[closed.Session] == "" {
						return fmt.Errorf("session %x left as absent in %v at %d although its client came back", closed.Session, shards[i].ID, e.Sequence)
					}
					delete(absent, closed.Session)
				}
			}
		}
	}
	for session, name := range absent {
		return fmt.Errorf("session %x of %s is still there after the resume time (and %d more)", session, name, len(absent)-1)
	}
	return nil
}

func redisKilled(ctx context.Context, r *Run) error {
	if err := r.Cluster.Redis.Kill(); err != nil {
		return err
	}
	pause(ctx, redisAwayFor/2+time.Duration(r.Random.Int64N(int64(redisAwayFor))))
	back := time.Now()
	if err := r.Cluster.Redis.Restart(ctx); err != nil {
		return err
	}
	return r.actingAgain(ctx, back)
}

// actingAgain waits until actions are applied again, and notes how long that
// took from an instant on.
func (r *Run) actingAgain(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	before := r.Players.Applied.Load()
	want := before + int64(len(r.Players.all))
	err := poll(ctx, "actions to be applied again", func() (bool, error) { return r.Players.Applied.Load() >= want, nil })
	r.Report.Recovery = time.Since(since)
	return err
}

func masterKilled(ctx context.Context, r *Run) error {
	slot := r.Random.IntN(16384)
	victim, err := r.Cluster.Nodes.MasterOf(ctx, slot)
	if err != nil {
		return err
	}
	r.busy(ctx)
	if err := victim.Kill(); err != nil {
		return err
	}
	if err := r.Cluster.Nodes.WaitReplaced(ctx, slot, victim); err != nil {
		return err
	}
	back := time.Now()
	if err := victim.Restart(ctx); err != nil { // as a replica: the new master must have one
		return err
	}
	return r.actingAgain(ctx, back)
}

func linkCut(ctx context.Context, r *Run) error {
	stalled := r.Random.IntN(2) == 0 // as if a cable were cut, or refused at once
	if stalled {
		r.Cluster.Link.Stall()
	} else {
		r.Cluster.Link.Cut()
	}
	pause(ctx, cutFor/2+time.Duration(r.Random.Int64N(int64(cutFor))))
	r.Cluster.Link.Heal()
	pause(ctx, 500*time.Millisecond)
	return nil
}

func rollingRestart(ctx context.Context, r *Run) error {
	for _, i := range r.Random.Perm(len(r.Cluster.Processes())) {
		p := r.Cluster.Processes()[i]
		stop, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := p.Terminate(stop)
		cancel()
		if err != nil {
			return err
		}
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func ownerDrained(ctx context.Context, r *Run) error {
	victim, held, err := r.anOwner(ctx)
	if err != nil {
		return err
	}
	other := r.Cluster.Owners[0]
	if other == victim {
		other = r.Cluster.Owners[1]
	}
	r.busy(ctx)
	asked := time.Now()
	if _, err := r.Cluster.Command(ctx, "shards", "drain", victim.Name, "--peer", other.Peer); err != nil {
		return err
	}
	bound, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = poll(bound, victim.Name+" to hand everything over", func() (bool, error) {
		held, err = r.Cluster.HeldBy(ctx, victim)
		return err == nil && len(held) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%w: it still holds %d shards", err, len(held))
	}
	r.Report.Recovery = time.Since(asked)
	pause(ctx, 500*time.Millisecond)
	_, err = r.Cluster.Command(ctx, "shards", "undrain", victim.Name, "--peer", other.Peer)
	return err
}
