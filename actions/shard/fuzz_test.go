package shard_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// history makes a log and a snapshot of a small world.
func history(tb testing.TB) (m *simulation, id world.ShardID) {
	m = newSimulation(3, tb.Fatalf)
	m.faults = false
	for range 4 {
		m.addClient()
	}
	for range 600 {
		m.step()
	}
	return m, m.order[0]
}

// Guards against logs that bring an owner down when it loads them.
func FuzzLoad(f *testing.F) {
	m, id := history(f)
	for _, entry := range m.logs[id][:min(8, len(m.logs[id]))] {
		f.Add(m.owners[id].snapshot, entry.Data)
	}
	f.Add([]byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, snapshot, batch []byte) {
		config := m.config(id)
		if len(snapshot) == 0 {
			snapshot = nil
		}
		s, err := shard.Load(config, world.Tail{Epoch: 1, Sequence: 1}, 0, snapshot, []world.Entry{{Sequence: 1, Data: batch}}, m.now)
		if err != nil {
			return
		}
		s.ReadCell("gateway", &clusterv1.ReadCell{Cell: 1})
		s.Tick(m.now)
		if _, _, ok := s.Snapshot(); !ok {
			return
		}
	})
}

// Guards against messages of other owners that bring one down.
func FuzzParcel(f *testing.F) {
	m, id := history(f)
	for _, log := range m.logs {
		for _, entry := range log {
			b := new(clusterv1.Batch)
			if b.UnmarshalVT(entry.Data) != nil {
				continue
			}
			for _, out := range b.Outgoing {
				data, _ := out.Parcel.MarshalVT()
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parcel := new(clusterv1.Parcel)
		if parcel.UnmarshalVT(data) != nil {
			return
		}
		s := shard.New(m.config(id), world.Tail{Epoch: 1})
		s.Parcel(m.now, &clusterv1.ParcelEnvelope{
			Source:   &clusterv1.ShardId{Cell: 1},
			Outgoing: &clusterv1.Outgoing{Target: world.ShardMessage(id), Number: 1, Parcel: parcel},
		})
		if b, ok := s.Seal(m.now); ok {
			if err := new(clusterv1.Batch).UnmarshalVT(b.Data); err != nil {
				t.Fatal(err)
			}
			s.Committed()
			s.Told()
		}
	})
}

// Guards against actions that bring the shard down or touch what is another's.
func FuzzHostileAct(f *testing.F) {
	for _, act := range hostileActs() {
		data, _ := act.MarshalVT()
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		act := new(starlingv1.Act)
		if act.UnmarshalVT(data) != nil {
			return
		}
		s, now := crowd(t, 2)
		before := s.State()
		act.Number = 1
		s.Act(now, &shard.Act{Gateway: "gateway", Session: 1, Act: act})
		s.Immediate(nil)
		commit(s, now)
		s.Invariants()
		victim := before.Sessions[1].Avatar
		for _, record := range before.Entities {
			if record.Update.Entity != victim {
				continue
			}
			for _, after := range s.State().Entities {
				if after.Update.Entity == victim && !proto.Equal(after, record) {
					t.Fatalf("%v changed another's avatar to %v", act, after)
				}
			}
		}
		told := false
		s.Act(now, &shard.Act{Gateway: "gateway", Session: 2, Act: &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Speak{
			Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "still here"}}}}})
		if b, ok := s.Seal(now); ok {
			for _, tell := range s.Committed().Tells {
				told = told || tell.Outcome.GetSession() == 2 && tell.Outcome.Outcome.Code == starlingv1.Code_APPLIED
			}
			again, err := shard.Load(newSimulation(1, t.Fatalf).config(s.ID()), world.Tail{Sequence: b.Sequence}, b.Sequence-1, nil,
				[]world.Entry{{Sequence: b.Sequence, Data: b.Data}}, now)
			if err != nil || again == nil {
				t.Fatal(err)
			}
		}
		if !told {
			t.Fatal("the other participant got no outcome")
		}
	})
}
