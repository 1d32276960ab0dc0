package torture

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
)

// Report is what one run showed.
type Report struct {
	Scenario     string
	Bus          string // bus.kind
	Seed         uint64
	Folder       string // logs of the processes, and histories, if they were kept
	Participants int
	Sent         int64   // actions
	Rate         float64 // actions per second before the fault
	Applied      int64
	Refused      int64 // for good
	Unknown      int64 // without an outcome, because the player or the session went
	Skipped      int64
	InFlight     int // actions without an outcome at the fault
	Crossing     Crossing
	Reconnects   int
	LostSessions int            // clients that had to open a new session
	Closes       map[string]int // connections that ended, by the reason
	Absent       int            // players who went away and did not come back
	Idle         int            // shards of a lost owner where nobody did anything
	Gaps         int            // chains of frames that a client found broken

	TakeOver    Spread        // from the fault to the first commit of each shard under its new owner
	Lapses      int           // leases that processes lost
	HandOver    Spread        // pause of each shard that was handed over, as its owner measured it
	LongestWait time.Duration // from asking for an action to its outcome
	Recovery    time.Duration // from the end of the fault until everybody acted again; of a drain: until it was done
	Fault       time.Duration // how long the fault lasted, and its repair
	Took        time.Duration
	Stall       time.Duration // how much later than due a goroutine of the clients' process ran at most
	Warm        time.Duration // from the first action to the fault
	Slowest     string        // what the clients that waited longest lived through

	Violations []check.Violation
}

// Crossing counts the committed actions that crossed a border.
type Crossing struct {
	Actions   int // final outcomes in the logs
	Cells     int // moves into another cell
	Shards    int // of these, into another shard
	Forwarded int // run in another shard on behalf of the actor
}

// Share is the share of actions that crossed cells, shards or owners.
func (c Crossing) Share() float64 {
	if c.Actions == 0 {
		return 0
	}
	return float64(c.Cells+c.Forwarded) / float64(c.Actions)
}

// slowestTold is how many clients a report describes.
const slowestTold = 3

// Spread is a distribution of times.
type Spread []time.Duration

func (s Spread) at(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return s[int(q*float64(len(s)-1)+0.5)]
}

// Longest is the largest.
func (s Spread) Longest() time.Duration { return s.at(1) }

func (s Spread) String() string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d/%d ms (%d)", s.at(0).Milliseconds(), s.at(0.5).Milliseconds(), s.at(1).Milliseconds(), len(s))
}

// String is the line of a run. Spreads are least/median/most (count).
func (r *Report) String() string {
	line := fmt.Sprintf("%s seed=%d bus=%s participants=%d rate=%.0f/s sent=%d applied=%d refused=%d unknown=%d skipped=%d in-flight=%d crossing=%.1f%% (cells %d shards %d forwarded %d of %d) longest-wait=%dms stall=%dms reconnects=%d gaps=%d",
		r.Scenario, r.Seed, r.Bus, r.Participants, r.Rate, r.Sent, r.Applied, r.Refused, r.Unknown, r.Skipped, r.InFlight, 100*r.Crossing.Share(),
		r.Crossing.Cells, r.Crossing.Shards, r.Crossing.Forwarded, r.Crossing.Actions, r.LongestWait.Milliseconds(), r.Stall.Milliseconds(), r.Reconnects, r.Gaps)
	if len(r.Closes) > 0 {
		line += fmt.Sprintf(" closes=%v lost-sessions=%d", r.Closes, r.LostSessions)
	}
	if len(r.TakeOver) > 0 {
		line += fmt.Sprintf(" take-over=%v idle=%d", r.TakeOver, r.Idle)
	}
	if r.Lapses > 0 {
		line += fmt.Sprintf(" lapses=%d", r.Lapses)
	}
	if len(r.HandOver) > 0 {
		line += " hand-over=" + r.HandOver.String()
	}
	if r.Recovery > 0 {
		line += fmt.Sprintf(" recovery=%dms", r.Recovery.Milliseconds())
	}
	line += fmt.Sprintf(" fault=%dms took=%.1fs violations=%d", r.Fault.Milliseconds(), r.Took.Seconds(), len(r.Violations))
	if r.Folder != "" {
		line += " folder=" + r.Folder
	}
	return line
}

// TakeOverLimit is within what time a shard of a lost owner must be served
// again. Each standstill of this machine may delay each of the steps to that.
func (r *Report) TakeOverLimit() time.Duration { return 3*time.Second + 10*r.Stall }

// Summary gives the first violations.
func (r *Report) Summary(most int) string {
	var b strings.Builder
	for i, v := range r.Violations {
		if i == most {
			fmt.Fprintf(&b, "… and %d more\n", len(r.Violations)-most)
			break
		}
		b.WriteString(v.String() + "\n")
	}
	return b.String()
}

// clients takes in what the players counted.
func (r *Report) clients(p *Players, began time.Time, slow time.Duration) {
	stats := p.statistics()
	r.Participants = len(p.all)
	r.Sent, r.Applied, r.Refused = p.Sent.Load(), p.Applied.Load(), p.Refused.Load()
	r.Unknown, r.Skipped = p.Unknown.Load(), p.Skipped.Load()
	r.Reconnects, r.Gaps = stats.Connections-len(p.all), stats.Gaps
	r.LostSessions, r.Closes = stats.Sessions-len(p.all), p.Closes()
	r.LongestWait = p.LongestWait(time.Time{}, time.Time{})
	if r.LongestWait > slow {
		r.Slowest = fmt.Sprintf("play began at %s, fault at %.3f\n", began.Format("15:04:05.000"), r.Warm.Seconds()) + p.slowest(began, slowestTold, slow)
	}
}

// servers takes in what the processes and their logs say.
func (r *Report) servers(c *Cluster, shards []check.Shard) {
	r.HandOver = c.handOvers()
	r.Lapses = c.lapses()
	for i := range shards {
		r.Crossing.add(&shards[i], c.Map)
	}
}

func (c *Crossing) add(s *check.Shard, m world.ShardMap) {
	for _, e := range s.Entries {
		c.Actions += len(e.Batch.Outcomes)
		for _, out := range e.Batch.Outgoing {
			if out.GetParcel().GetAction() != nil {
				c.Forwarded++
			}
		}
		for _, delta := range e.Batch.Cells {
			var steps starlingv1.Steps
			if steps.UnmarshalVT(delta.Steps) != nil {
				continue
			}
			c.steps(&steps, s.ID, m)
		}
	}
}

// steps counts avatars that left a cell by an action of their own.
func (c *Crossing) steps(steps *starlingv1.Steps, at world.ShardID, m world.ShardMap) {
	for _, step := range steps.Steps {
		u := step.GetUpdate()
		if u.GetChange() != starlingv1.Change_LEFT || u.By != u.Entity || u.Number == 0 {
			continue
		}
		c.Cells++
		if m.Shard(0, world.Cell(u.To)) != at {
			c.Shards++
		}
	}
}

// handOvers reads what the owners said of the pauses of the shards that they
// handed over.
func (c *Cluster) handOvers() (pauses Spread) {
	const message, field = `msg="released a shard"`, "pause="
	for _, p := range c.Owners {
		data, err := os.ReadFile(p.logs)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			_, rest, found := strings.Cut(line, field)
			if !found || !strings.Contains(line, message) {
				continue
			}
			text, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if took, err := time.ParseDuration(text); err == nil {
				pauses = append(pauses, took)
			}
		}
	}
	return pauses
}
