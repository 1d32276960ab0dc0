package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/starling-vr/starling/loadtest/check"
)

// describeStuck writes what the logs say of the sessions that still wait.
func (r *Run) describeStuck(ctx context.Context) error {
	shards, err := check.ReadShards(ctx, r.Cluster.Log)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, one := range r.Players.all {
		if one.gone.Load() || one.client.Connected() && one.client.InFlight() == 0 {
			continue
		}
		session := one.client.Session()
		fmt.Fprintf(&b, "%s session %x at %s, %d in flight, refused last: %v\n", one.name, session.ID, session.Gateway, one.client.InFlight(), one.refused.Load())
		for i := range shards {
			mentions(&b, &shards[i], session.ID)
		}
	}
	return os.WriteFile(filepath.Join(r.options.Folder, "stuck.txt"), []byte(b.String()), 0o644)
}

func mentions(b *strings.Builder, s *check.Shard, session uint64) {
	for _, e := range s.Entries {
		at := fmt.Sprintf("  %v %d/%d", s.ID, e.Epoch, e.Sequence)
		for _, o := range e.Batch.SessionsOpened {
			if o.Session == session {
				fmt.Fprintf(b, "%s opened last=%d moves=%d arrived=%v gateway=%s\n", at, o.Last, o.Moves, o.Arrived, o.Gateway)
			}
		}
		for _, o := range e.Batch.Outcomes {
			if o.Session == session {
				fmt.Fprintf(b, "%s outcome %d %v\n", at, o.Outcome.Number, o.Outcome.Code)
			}
		}
		for _, o := range e.Batch.SessionsClosed {
			if o.Session == session {
				fmt.Fprintf(b, "%s closed %v to %v\n", at, o.Why, o.ForwardTo)
			}
		}
		for _, o := range e.Batch.Outgoing {
			if a := o.GetParcel().GetAction(); a != nil && a.Session == session {
				fmt.Fprintf(b, "%s forwarded %d to %v as parcel %d\n", at, a.GetAct().GetNumber(), o.Target, o.Number)
			}
			if a := o.GetParcel().GetOutcome(); a != nil && a.Session == session {
				fmt.Fprintf(b, "%s answered %d to %v as parcel %d\n", at, a.GetOutcome().GetNumber(), o.Target, o.Number)
			}
		}
	}
}
