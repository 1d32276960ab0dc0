// Package actionstest runs a world in a test: one Host over a log in memory, and
// participants who act in it without gateway or network. It is how a game tests
// its own functions.
package actionstest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
	"github.com/starling-vr/starling/world/memory"
)

// patience is how long an answer may take before the test fails.
const patience = 10 * time.Second

// World is a running world.
type World struct {
	Host    *actions.Host
	t       testing.TB
	shards  world.ShardMap
	mu      sync.Mutex
	waiting map[string]chan any
	homes   map[uint64]world.ShardID // of sessions that were handed over
	last    uint64
	events  []*starlingv1.Event
}

// New starts a world that ends with the test. Options that are left out get
// what a test needs.
func New(t testing.TB, options actions.Options) *World {
	t.Helper()
	w := &World{t: t, waiting: make(map[string]chan any), homes: make(map[uint64]world.ShardID), shards: options.Map}
	if w.shards == (world.ShardMap{}) {
		w.shards = world.DefaultShardMap()
	}
	if options.Node == "" {
		options.Node = "owner"
	}
	if options.Log == nil {
		options.Log = memory.New()
	}
	if options.Bus == nil {
		options.Bus = w
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Scheduler == nil {
		options.Scheduler = invoke.New(invoke.Config{})
	}
	host, err := actions.NewHost(options)
	if err != nil {
		t.Fatal(err)
	}
	w.Host = host
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := host.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := options.Scheduler.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// At is a pose on the map.
func At(at world.Geo) *starlingv1.Pose {
	return (&shard.Pose{Position: shard.Position{Geo: at}}).Message()
}

// AtLocal is a pose in a place, metres of its anchor.
func AtLocal(east, north float32) *starlingv1.Pose {
	return (&shard.Pose{Position: shard.Position{Place: true, Local: world.Local{East: east, North: north}}}).Message()
}

// Participant is someone in the world. Its methods may be called from one
// goroutine at a time.
type Participant struct {
	Avatar  uint64
	world   *World
	session uint64
	number  uint64
	cell    uint64
}

// Join opens a session on the map.
func (w *World) Join(name string, at *starlingv1.Pose, scopes ...string) *Participant {
	w.t.Helper()
	position, err := shard.ReadPose(at)
	if err != nil {
		w.t.Fatal(err)
	}
	cell, err := hex.Cell(position.Geo.Lat, position.Geo.Lng, w.shards.CellResolution)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.join(name, w.shards.Shard(0, cell), at, scopes)
}

// JoinPlace opens a session in a place.
func (w *World) JoinPlace(name string, place world.PlaceID, at *starlingv1.Pose, scopes ...string) *Participant {
	w.t.Helper()
	return w.join(name, world.ShardID{Place: place}, at, scopes)
}

func (w *World) join(name string, home world.ShardID, at *starlingv1.Pose, scopes []string) *Participant {
	w.t.Helper()
	session, key, answer := w.expect("reply", 0)
	w.Host.Control(w, &clusterv1.Control{Request: session, Shard: world.ShardMessage(home), Kind: &clusterv1.Control_Attach{
		Attach: &clusterv1.Attach{Session: session, Participant: name, Gateway: w.Node(), Pose: at, Scopes: scopes}}})
	reply := w.await(key, answer).(*clusterv1.ControlReply)
	if reply.Code != starlingv1.Code_APPLIED {
		w.t.Fatalf("%s cannot join: %v %s", name, reply.Code, reply.Message)
	}
	w.mu.Lock()
	w.homes[session] = home
	w.mu.Unlock()
	return &Participant{Avatar: reply.Attached.Avatar, world: w, session: session, cell: reply.Attached.Cell}
}

// expect opens a wait for an answer, under a new number or the one given.
func (w *World) expect(what string, number uint64) (uint64, string, chan any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number == 0 {
		w.last++
		number = w.last
	}
	key := fmt.Sprint(what, " ", number)
	answer := make(chan any, 1)
	w.waiting[key] = answer
	return number, key, answer
}

func (w *World) answer(key string, with any) {
	w.mu.Lock()
	answer := w.waiting[key]
	delete(w.waiting, key)
	w.mu.Unlock()
	if answer != nil {
		answer <- with
	}
}

func (w *World) await(key string, answer chan any) any {
	select {
	case got := <-answer:
		return got
	case <-time.After(patience):
		w.t.Errorf("no answer to %s", key)
		return nil
	}
}

// Do acts and waits for the outcome. function is one of the messages of
// starling.v1.Act: a *starlingv1.Move, a *starlingv1.Call and so on.
func (p *Participant) Do(function any) *starlingv1.Outcome {
	p.number++
	act := &starlingv1.Act{Number: p.number}
	switch f := function.(type) {
	case *starlingv1.Move:
		act.Function = &starlingv1.Act_Move{Move: f}
	case *starlingv1.Speak:
		act.Function = &starlingv1.Act_Speak{Speak: f}
	case *starlingv1.Touch:
		act.Function = &starlingv1.Act_Touch{Touch: f}
	case *starlingv1.Grab:
		act.Function = &starlingv1.Act_Grab{Grab: f}
	case *starlingv1.Release:
		act.Function = &starlingv1.Act_Release{Release: f}
	case *starlingv1.Spawn:
		act.Function = &starlingv1.Act_Spawn{Spawn: f}
	case *starlingv1.Despawn:
		act.Function = &starlingv1.Act_Despawn{Despawn: f}
	case *starlingv1.SetAttribute:
		act.Function = &starlingv1.Act_SetAttribute{SetAttribute: f}
	case *starlingv1.Leave:
		act.Function = &starlingv1.Act_Leave{Leave: f}
	case *starlingv1.Call:
		act.Function = &starlingv1.Act_Call{Call: f}
	case *starlingv1.CreatePlace:
		act.Function = &starlingv1.Act_CreatePlace{CreatePlace: f}
	case *starlingv1.ClosePlace:
		act.Function = &starlingv1.Act_ClosePlace{ClosePlace: f}
	default:
		p.world.t.Errorf("%T is no function", function)
		return &starlingv1.Outcome{}
	}
	return p.send(act)
}

// send acts, following the session when it moved.
func (p *Participant) send(act *starlingv1.Act) *starlingv1.Outcome {
	w := p.world
	for {
		_, key, answer := w.expect(fmt.Sprint("outcome ", p.session), act.Number)
		w.mu.Lock()
		home := w.homes[p.session]
		w.mu.Unlock()
		w.Host.Act(w, &clusterv1.RoutedAct{Shard: world.ShardMessage(home), Session: p.session, Act: act})
		switch got := w.await(key, answer).(type) {
		case *clusterv1.RoutedOutcome:
			if got.MovedTo != nil {
				w.mu.Lock()
				w.homes[p.session] = world.ShardOf(got.MovedTo)
				w.mu.Unlock()
				continue
			}
			if got.Cell != 0 {
				p.cell = got.Cell
			}
			return got.Outcome
		case *clusterv1.NotMine:
		default:
			return &starlingv1.Outcome{}
		}
	}
}

// Cell is where the participant's avatar is.
func (p *Participant) Cell() uint64 { return p.cell }

// Self reads the participant's avatar as watchers see it.
func (p *Participant) Self() *starlingv1.Update {
	p.world.mu.Lock()
	home := p.world.homes[p.session]
	p.world.mu.Unlock()
	return p.world.find(home, p.cell, p.Avatar)
}

// Entity reads an entity in a cell of the map as watchers see it; an empty one
// if it is not there.
func (w *World) Entity(cell, entity uint64) *starlingv1.Update {
	return w.find(w.shards.Shard(0, world.Cell(cell)), cell, entity)
}

func (w *World) find(home world.ShardID, cell, entity uint64) *starlingv1.Update {
	for _, u := range w.image(home, cell) {
		if u.Entity == entity {
			return u
		}
	}
	return &starlingv1.Update{}
}

// Cell reads a cell of the map as watchers see it.
func (w *World) Cell(cell uint64) []*starlingv1.Update {
	return w.image(w.shards.Shard(0, world.Cell(cell)), cell)
}

func (w *World) image(home world.ShardID, cell uint64) []*starlingv1.Update {
	request, key, answer := w.expect("image", 0)
	w.Host.ReadCell(w, &clusterv1.ReadCell{Request: request, Shard: world.ShardMessage(home), Cell: cell})
	image, ok := w.await(key, answer).(pubsub.Message)
	steps := new(starlingv1.Steps)
	if !ok || steps.UnmarshalVT(image.Steps) != nil {
		return nil
	}
	var all []*starlingv1.Update
	for _, step := range steps.Steps {
		if u := step.GetUpdate(); u != nil {
			all = append(all, u)
		}
	}
	return all
}

// Events gives what everyone was told so far, in each cell in order.
func (w *World) Events() []*starlingv1.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*starlingv1.Event(nil), w.events...)
}

// The gateway's side.

// Node is the gateway's id.
func (w *World) Node() string { return "test" }

// Outcome takes an outcome.
func (w *World) Outcome(o *clusterv1.RoutedOutcome) {
	w.answer(fmt.Sprint("outcome ", o.Session, " ", o.Outcome.Number), o)
}

// ControlReply takes a reply.
func (w *World) ControlReply(r *clusterv1.ControlReply) { w.answer(fmt.Sprint("reply ", r.Request), r) }

// NotMine takes the answer that the shard is not served now.
func (w *World) NotMine(n *clusterv1.NotMine) {
	w.answer(fmt.Sprint("outcome ", n.Session, " ", n.Number), n)
}

// SessionNotice takes the news that a session moved.
func (w *World) SessionNotice(n *clusterv1.SessionNotice) {
	if n.Arrived {
		w.mu.Lock()
		w.homes[n.Session] = world.ShardOf(n.Shard)
		w.mu.Unlock()
	}
}

// Baseline takes the image of a cell.
func (w *World) Baseline(m pubsub.Message) { w.answer(fmt.Sprint("image ", m.Request), m) }

// Publish takes what was committed.
func (w *World) Publish(batch []pubsub.Message) {
	for _, m := range batch {
		steps := new(starlingv1.Steps)
		if steps.UnmarshalVT(m.Steps) != nil {
			continue
		}
		for _, step := range steps.Steps {
			if e := step.GetEvent(); e != nil {
				w.mu.Lock()
				w.events = append(w.events, e)
				w.mu.Unlock()
			}
		}
	}
}

// PublishDigest takes a digest.
func (w *World) PublishDigest(pubsub.Digest) {}
