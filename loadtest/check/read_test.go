package check_test

import (
	"bytes"
	"context"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/memory"
)

// write puts the model's logs into a store.
func (m *model) write(t *testing.T, log world.Log) map[world.ShardID]world.Tail {
	t.Helper()
	ctx := context.Background()
	tails := make(map[world.ShardID]world.Tail)
	for i, id := range m.order {
		tail := world.Tail{}
		for _, e := range m.shards[id].entries {
			var err error
			if e.Epoch != tail.Epoch {
				if tail, err = log.Claim(ctx, id, "owner", uint64(i+1), e.Epoch-1); err != nil {
					t.Fatal(err)
				}
			}
			data, err := e.Batch.MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			if tail, err = log.Append(ctx, id, tail, data); err != nil {
				t.Fatal(err)
			}
		}
		tails[id] = tail
	}
	return tails
}

func worked(seed int64, steps int) *model {
	random := rand.New(rand.NewSource(seed))
	m := newModel(random.Intn, 3, 3)
	for range steps {
		m.step()
	}
	return m
}

func TestReadShardsFromTheStart(t *testing.T) {
	m := worked(7, 200)
	m.rest()
	log := memory.New()
	defer log.Close()
	m.write(t, log)
	in := m.input(true)
	var err error
	if in.Shards, err = check.ReadShards(context.Background(), log); err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, s := range in.Shards {
		entries += len(s.Entries)
	}
	if entries == 0 {
		t.Fatal("nothing was read")
	}
	for _, v := range check.Run(in) {
		t.Error(v)
	}
}

// TestFromSnapshots: a log whose beginning is gone is checked from its snapshot.
func TestFromSnapshots(t *testing.T) {
	for seed := range int64(20) {
		m := worked(seed, 100)
		snapshots := make(map[world.ShardID]check.Shard)
		for _, id := range m.order {
			s := m.shards[id]
			snapshots[id] = check.Shard{ID: id, At: s.sequence, Snapshot: s.snapshot()}
		}
		for range 100 {
			m.step()
		}
		m.rest()
		in := m.input(true)
		for i := range in.Shards {
			cut := snapshots[in.Shards[i].ID]
			cut.Entries = in.Shards[i].Entries[cut.At:]
			in.Shards[i] = cut
		}
		for _, v := range check.Run(in) {
			t.Errorf("seed %d: %v", seed, v)
		}
	}
}

func (s *modelShard) snapshot() *clusterv1.Snapshot {
	snapshot := &clusterv1.Snapshot{Format: 1}
	for _, e := range s.entities {
		snapshot.Entities = append(snapshot.Entities, &clusterv1.EntityRecord{Cell: uint64(e.cell), Update: &starlingv1.Update{
			Entity: e.id, Version: e.version, Change: starlingv1.Change_PRESENT, Pose: e.pose, Holder: e.holder, Kind: "thing", Attributes: e.attributes,
		}})
	}
	for _, x := range s.sessions {
		snapshot.Sessions = append(snapshot.Sessions, x.record(false))
	}
	for target, box := range s.outboxes {
		snapshot.Sent = append(snapshot.Sent, &clusterv1.SentMark{Target: shardMessage(target), Number: uint64(len(box))})
		snapshot.Delivered = append(snapshot.Delivered, &clusterv1.Delivered{Target: shardMessage(target), Number: uint64(s.delivered[target])})
		snapshot.Outgoing = append(snapshot.Outgoing, slices.Clone(box[s.delivered[target]:])...)
	}
	for source, number := range s.marks {
		snapshot.Watermarks = append(snapshot.Watermarks, &clusterv1.Watermark{Source: shardMessage(source), Number: uint64(number)})
	}
	return snapshot
}

func TestHistoriesSurviveAFile(t *testing.T) {
	m := worked(3, 150)
	m.rest()
	before := m.input(true).Clients
	before[0].Final = check.FinalOf(&before[0])
	var file bytes.Buffer
	if err := check.WriteHistories(&file, before); err != nil {
		t.Fatal(err)
	}
	after, err := check.ReadHistories(&file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(normal(before), normal(after)) {
		t.Error("the histories came back otherwise")
	}
}

// normal makes empty and absent steps the same.
func normal(histories []check.History) []check.History {
	for _, h := range histories {
		for i, e := range h.Events {
			if e.Frame != nil && len(e.Frame.Steps) == 0 {
				f := *e.Frame
				f.Steps = nil
				h.Events[i].Frame = &f
			}
		}
	}
	return histories
}

func FuzzReadHistories(f *testing.F) {
	f.Add(`{"Client":"a","Event":{"At":1,"Kind":"welcomed","Session":7}}`)
	f.Add(`{"Client":"a","Event":{"At":1,"Kind":"saw","Frame":{"Cell":5,"Steps":[{"Entity":1}]}}}`)
	f.Add(`{"Client":"a","Event":{"At":1,"Kind":"saw"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		histories, err := check.ReadHistories(strings.NewReader(text))
		if err == nil {
			check.Run(check.Input{Clients: histories, Map: world.DefaultShardMap(), Quiet: true})
		}
	})
}

// TestRecorderKeepsSharedFramesOnce: what many clients see costs one copy.
func TestRecorderKeepsSharedFramesOnce(t *testing.T) {
	r := check.NewRecorder()
	a, b := r.Client("a"), r.Client("b")
	frame := func(sequence uint64) *starlingv1.CellFrame {
		return &starlingv1.CellFrame{Cell: 1, Sequence: sequence, Commits: []*starlingv1.Steps{{AgeUs: uint32(sequence)}}}
	}
	a.Saw(frame(1), time.Now())
	b.Saw(frame(1), time.Now())
	b.Saw(frame(2), time.Now())
	h := r.Histories()
	if h[0].Events[0].Frame != h[1].Events[0].Frame {
		t.Error("the same frame is kept twice")
	}
	if h[1].Events[0].Frame == h[1].Events[1].Frame {
		t.Error("different frames became one")
	}
}

// TestRecorderSeesAViewGoBack hooks a client's options and lets its view err.
func TestRecorderSeesAViewGoBack(t *testing.T) {
	r := check.NewRecorder()
	told := 0
	options := starling.Options{OnChange: func(starling.Change) { told++ }}
	r.Client("a").Hook(&options)
	show := func(sequence uint64) {
		options.OnChange(starling.Change{Kind: starling.Changed, Entity: starling.Entity{ID: 5, Version: &starlingv1.Version{Sequence: sequence}}})
	}
	show(2)
	show(3)
	show(1)
	if told != 3 {
		t.Errorf("the application was told %d times", told)
	}
	found := check.Run(check.Input{Clients: r.Histories(), Map: world.DefaultShardMap()})
	if len(found) != 1 || found[0].Rule != check.ViewWentBack {
		t.Error(found)
	}
}
