package regions

import (
	"context"
	"log/slog"
	"testing"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/direct"
	"github.com/starling-vr/starling/pubsub/pubsubtest"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

func TestEveryGatewayReachesEveryOwner(t *testing.T) {
	r := newRegion(t)
	a, b := r.start("a", "owner", "gateway"), r.start("b", "owner")
	g, h := r.start("g", "gateway"), r.start("0", "gateway")
	r.connected(a, b, g, h)
	shards := someShards(20)
	first := g.actEverywhere(t, shards)
	for _, p := range []*process{a, h} {
		for shard, id := range p.actEverywhere(t, shards) {
			if first[shard] != id || p.Owner(shard) != id {
				t.Errorf("shard %v: %s answered to g, %s to %s", shard, first[shard], id, p.ID())
			}
		}
	}
	if n := count(first); len(n) != 2 {
		t.Errorf("shares %v", n)
	}
	for _, p := range []*process{a, g} {
		for i, shard := range shards {
			request := uint64(1000 + i)
			p.edge.try(t, "a reply", func() {
				p.Router().Control(p.edge, &clusterv1.Control{Request: request, Shard: world.ShardMessage(shard)})
			},
				func() bool { return p.edge.replies[request] && p.edge.notices > 0 })
			p.edge.try(t, "a baseline", func() {
				p.Router().ReadCell(p.edge, &clusterv1.ReadCell{Request: request, Shard: world.ShardMessage(shard), Cell: 5})
			}, func() bool { return p.edge.baselines[request] == first[shard] })
		}
	}
}

func TestParcelsGoFromOwnerToOwner(t *testing.T) {
	r := newRegion(t)
	a, b := r.start("a", "owner"), r.start("b", "owner")
	r.connected(a, b)
	var here, there world.ShardID
	for _, shard := range someShards(40) {
		if a.Owner(shard) == "a" {
			here = shard
		} else {
			there = shard
		}
	}
	for n := uint64(1); n <= 100; n++ {
		a.SendParcel(there, &clusterv1.ParcelEnvelope{Source: world.ShardMessage(here), Outgoing: &clusterv1.Outgoing{Target: world.ShardMessage(there), Number: n}})
	}
	await(t, "all acknowledged", func() bool {
		a.owner.mu.Lock()
		defer a.owner.mu.Unlock()
		return len(a.owner.acks) == 100
	})
	for i, n := range a.owner.acks {
		if n != uint64(i+1) {
			t.Fatalf("acknowledgement %d is of number %d", i, n)
		}
	}
}

func TestLostOwnerIsReplaced(t *testing.T) {
	r := newRegion(t)
	a, b, g := r.start("a", "owner"), r.start("b", "owner"), r.start("g", "gateway")
	r.connected(a, b, g)
	shards := someShards(20)
	g.actEverywhere(t, shards)
	begin := time.Now()
	b.Close()
	if n := count(g.actEverywhere(t, shards)); n["a"] != len(shards) {
		t.Errorf("after b was lost: %v", n)
	}
	t.Logf("taken over after %v with death %v", time.Since(begin), g.options.Directory.Death)
}

func TestJoiningOwnerGetsItsShare(t *testing.T) {
	r := newRegion(t)
	a, g := r.start("a", "owner"), r.start("g", "gateway")
	r.connected(a, g)
	shards := someShards(24)
	if n := count(g.actEverywhere(t, shards)); n["a"] != len(shards) {
		t.Fatalf("alone: %v", n)
	}
	b := r.start("b", "owner")
	r.connected(a, b, g)
	await(t, "b's share has left a", func() bool {
		for _, s := range a.owner.list() {
			if a.Owner(s.Shard) != "a" {
				return false
			}
		}
		return true
	})
	for shard, id := range g.actEverywhere(t, shards) {
		if id != g.Owner(shard) {
			t.Errorf("shard %v is served by %s, should be by %s", shard, id, g.Owner(shard))
		}
	}
	await(t, "b is warm", func() bool { return len(b.owner.list())+len(a.owner.list()) == len(shards) })
}

func TestDrainByOperator(t *testing.T) {
	r := newRegion(t)
	a, b, g := r.start("a", "owner"), r.start("b", "owner"), r.start("g", "gateway")
	r.connected(a, b, g)
	shards := someShards(20)
	g.actEverywhere(t, shards)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := DialOperator(g.ListenAddress(), TLSConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	operator := clusterv1.NewOperatorClient(conn)
	list, err := operator.ListShards(ctx, &clusterv1.ListShardsRequest{})
	if err != nil || len(list.GetShards()) != len(shards) || len(list.GetSilent()) != 0 {
		t.Fatalf("%d shards, silent %v, %v", len(list.GetShards()), list.GetSilent(), err)
	}
	if _, err := operator.Drain(ctx, &clusterv1.DrainRequest{Node: "nobody"}); err == nil {
		t.Error("nobody was drained")
	}
	if _, err := operator.Drain(ctx, &clusterv1.DrainRequest{Node: "b"}); err != nil {
		t.Fatal(err)
	}
	await(t, "b is empty", func() bool { return b.View().Node("b").Draining && len(b.owner.list()) == 0 })
	if n := count(g.actEverywhere(t, shards)); n["a"] != len(shards) {
		t.Errorf("while b drains: %v", n)
	}
	nodes, err := operator.ListNodes(ctx, &clusterv1.ListNodesRequest{})
	if err != nil || len(nodes.GetNodes()) != 3 || !nodes.GetNodes()[1].GetDraining() || !nodes.GetNodes()[1].GetConnected() {
		t.Errorf("nodes %v, %v", nodes.GetNodes(), err)
	}
	if _, err := operator.Undrain(ctx, &clusterv1.UndrainRequest{Node: "b"}); err != nil {
		t.Fatal(err)
	}
	await(t, "g knows", func() bool {
		return !g.View().Node("b").Draining && !a.View().Node("b").Draining && !b.View().Node("b").Draining
	})
	if n := count(g.actEverywhere(t, shards)); n["b"] == 0 {
		t.Errorf("after undraining: %v", n)
	}
}

func TestShutdownHandsOver(t *testing.T) {
	r := newRegion(t)
	a, b, g := r.start("a", "owner"), r.start("b", "owner"), r.start("g", "gateway")
	r.connected(a, b, g)
	shards := someShards(20)
	g.actEverywhere(t, shards)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		if r.store.holder(shard) == "a" {
			t.Errorf("a left without releasing %v", shard)
		}
	}
	if n := count(g.actEverywhere(t, shards)); n["b"] != len(shards) {
		t.Errorf("after a left: %v", n)
	}
	// The last one releases too: nobody has to wait for its death later.
	if err := b.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		if r.store.holder(shard) != "" {
			t.Errorf("the last owner left without releasing %v", shard)
		}
	}
	if g.Owner(shards[0]) != "" {
		await(t, "g sees that nobody is left", func() bool { return g.Owner(shards[0]) == "" })
	}
	g.Router().Act(g.edge, act(shards[0], 99, 1))
	g.edge.mu.Lock()
	defer g.edge.mu.Unlock()
	if g.edge.refusals[99] != 1 {
		t.Error("with no owner an action must be refused for now, at once")
	}
}

// The suite of every bus, across a link and without one.
func TestBusConformance(t *testing.T) {
	t.Run("across processes", func(t *testing.T) {
		pubsubtest.Run(t, pubsubtest.Implementation{Open: func(t *testing.T) (pubsub.Bus, pubsub.Bus) {
			r := newRegion(t)
			a, g := r.start("a", "owner"), r.start("g", "gateway")
			r.connected(a, g)
			return a.Bus(), g.Bus()
		}})
	})
	t.Run("in one process", func(t *testing.T) {
		pubsubtest.Run(t, pubsubtest.Implementation{Open: func(t *testing.T) (pubsub.Bus, pubsub.Bus) {
			a := newRegion(t).start("a", "owner", "gateway")
			return a.Bus(), a.Bus()
		}})
	})
}

func TestWatchersFollowTheShard(t *testing.T) {
	r := newRegion(t)
	a, b, g := r.start("a", "owner"), r.start("b", "owner"), r.start("g", "gateway")
	r.connected(a, b, g)
	shard, cell := someShards(1)[0], world.Cell(0x8a411e5a4007fff)
	home, other := a, b
	if g.Owner(shard) == "b" {
		home, other = b, a
	}
	g.actEverywhere(t, []world.ShardID{shard})
	recorder := pubsubtest.NewRecorder()
	s := g.Bus().Subscribe("g", recorder)
	s.Watch(shard, cell, 3)
	recorder.WaitCount(t, pubsubtest.EventWatching, cell, 1)
	chain := pubsubtest.NewChain(shard)
	home.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 1)
	if n := home.broker.Watchers(shard, cell); n != 3 {
		t.Errorf("%d watchers at the owner, want 3", n)
	}

	// The owner is drained: the new one is asked, and what the old one still
	// commits is heard too, so nothing is lost.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := home.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	await(t, "the new one is asked", func() bool { return other.broker.Watchers(shard, cell) == 3 })
	home.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 2)
	other.Bus().Publish(pubsubtest.NewChain(shard).Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 3)
	await(t, "the old one is asked no more", func() bool { return home.broker.WatchedCells(shard) == 0 })
	other.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 4)
	undisturbed(t, recorder)

	// The link breaks and heals (a lower id calls the higher one).
	g.link.Cut()
	recorder.WaitCount(t, pubsubtest.EventLost, cell, 1)
	g.link.Heal()
	recorder.WaitCount(t, pubsubtest.EventWatching, cell, 2)
	other.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 5)
	s.Watch(shard, cell, 0)
	await(t, "nobody watches", func() bool { return other.broker.WatchedCells(shard) == 0 })
}

// undisturbed fails if the recorder was told to read a cell again.
func undisturbed(t *testing.T, r *pubsubtest.Recorder) {
	t.Helper()
	watching := 0
	for _, e := range r.Events() {
		switch e.Kind {
		case pubsubtest.EventWatching:
			watching++
		case pubsubtest.EventLost:
			t.Error("messages were lost while the shard changed hands")
		}
	}
	if watching != 1 {
		t.Errorf("told to read the cell %d times, want once", watching)
	}
}

// An owner says that another one serves the shard, and the directory does not
// agree: the watchers go there, and come back as the hint ends.
func TestWatchersThatReturnHearEverything(t *testing.T) {
	r := newRegion(t)
	a, b, g := r.start("a", "owner"), r.start("b", "owner"), r.start("g", "gateway")
	r.connected(a, b, g)
	shard, cell := someShards(1)[0], world.Cell(0x8a411e5a4007fff)
	home, other := a, b
	if g.Owner(shard) == "b" {
		home, other = b, a
	}
	recorder := pubsubtest.NewRecorder()
	s := g.Bus().Subscribe("g", recorder)
	defer s.Close()
	s.Watch(shard, cell, 3)
	recorder.WaitCount(t, pubsubtest.EventWatching, cell, 1)
	g.Router().follow(shard, other.ID())
	await(t, "the one that was named is asked", func() bool { return other.broker.Watchers(shard, cell) == 3 })
	chain := pubsubtest.NewChain(shard)
	home.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 1)
	await(t, "the hint ends", func() bool { return g.Router().Owner(shard) == home.ID() })
	s.Watch(shard, cell, 4)
	await(t, "the first one is told of another watcher", func() bool { return home.broker.Watchers(shard, cell) == 4 })
	home.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 2)
	await(t, "the other one is asked no more", func() bool { return other.broker.WatchedCells(shard) == 0 })
	home.Bus().Publish(chain.Commit(cell))
	recorder.WaitCount(t, pubsubtest.EventMessage, cell, 3)
	undisturbed(t, recorder)
}

func TestReleaseIsRefusedWhereTheShardBelongs(t *testing.T) {
	r := newRegion(t)
	a, b := r.start("a", "owner"), r.start("b", "owner")
	r.connected(a, b)
	shard := someShards(1)[0]
	home, other := a, b
	if a.Owner(shard) == "b" {
		home, other = b, a
	}
	home.owner.serves(shard)
	answers := make(chan bool, 3)
	other.RequestRelease(home.ID(), shard, func(ok bool) { answers <- ok })
	if <-answers {
		t.Error("an owner gave away a shard that belongs to it")
	}
	other.RequestRelease("nobody", shard, func(ok bool) { answers <- ok })
	if <-answers {
		t.Error("nobody released a shard")
	}
	home.link.Cut()
	other.link.Cut()
	other.RequestRelease(home.ID(), shard, func(ok bool) { answers <- ok })
	if <-answers {
		t.Error("released over a broken link")
	}
}

// Nothing that a peer sends, however broken, does worse than cut its stream.
func FuzzReceive(f *testing.F) {
	whole, _ := act(world.ShardID{Cell: 99}, 1, 2).MarshalVT()
	f.Add(int32(peer.KindAct), whole)
	cell, _ := (&clusterv1.CellMessage{Shard: &clusterv1.ShardId{Cell: 7}, Steps: []byte("x"), Baseline: true}).MarshalVT()
	f.Add(int32(peer.KindCell), cell)
	digest, _ := (&clusterv1.Digest{Cells: []*clusterv1.CellSequence{{Cell: 1}}}).MarshalVT()
	f.Add(int32(peer.KindDigest), digest)
	for kind := range int32(24) {
		f.Add(kind, []byte{})
		f.Add(kind, []byte{0x0a, 0x00})
	}
	n := fuzzNode(f)
	link := new(peer.Link)
	f.Fuzz(func(t *testing.T, kind int32, payload []byte) {
		_ = (*exchange)(n).Receive(link, peer.Kind(kind), payload, time.Duration(len(payload))*time.Microsecond)
		(*exchange)(n).FrameEnd(link)
	})
}

// fuzzNode is a node with both roles and a lease of its own, without a network.
func fuzzNode(f *testing.F) *Node {
	f.Helper()
	r := &region{table: directory.NewMemory(), store: &store{holders: map[world.ShardID]string{}}}
	cfg := quickConfig("n", "owner", "gateway")
	n, err := New(Options{Config: cfg, Store: r.table, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	broker := direct.New()
	o := &owner{node: n, store: r.store, shards: map[world.ShardID]bool{}, asked: map[world.ShardID]bool{}}
	err = n.Start(context.Background(), Parts{Owner: o, Broker: broker, Shards: o.list, Edge: newEdge("n"),
		LeaseRegained: func(_ uint64, verified func()) { verified() }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		n.Close()
		_ = broker.Close()
	})
	return n
}
