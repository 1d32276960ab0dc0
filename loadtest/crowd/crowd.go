package crowd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

// ThingKind is the kind of the objects that a crowd leaves around to be grabbed.
const ThingKind = "thing"

// Options say what the crowd is like.
type Options struct {
	URL          string                            // of the websocket endpoint
	Token        func(name string) (string, error) // a token for a participant, with scope "spawn:thing"
	Participants int                               //
	Rate         float64                           // actions per second of each, Poisson; default 2
	Others       float64                           // share of actions that are not moves; default 0.02
	Things       int                               // objects that are put around
	Area         Area                              //
	Seed         uint64                            // of everything random
	Ramp         time.Duration                     // over which they connect; default 2 s
	Logger       *slog.Logger                      //
	Latency      *Latency                          // measures; may be nil
}

// Statistics count since the start.
type Statistics struct {
	Connected atomic.Int64 // now
	Sent      atomic.Int64
	Applied   atomic.Int64
	Refused   atomic.Int64 // for good
	Failed    atomic.Int64 // fate unknown, or never sent
}

// Crowd is a number of participants at work.
type Crowd struct {
	options Options
	Statistics
}

// New makes a crowd; Run starts it.
func New(options Options) *Crowd {
	if options.Rate <= 0 {
		options.Rate = 2
	}
	if options.Others == 0 {
		options.Others = 0.02
	}
	if options.Ramp == 0 {
		options.Ramp = 2 * time.Second
	}
	return &Crowd{options: options}
}

// Run keeps the crowd moving until ctx ends, then leaves the world.
func (c *Crowd) Run(ctx context.Context) {
	var wait sync.WaitGroup
	for i := range c.options.Participants {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(c.options.Seed, uint64(i)))
			if !pause(ctx, time.Duration(random.Int64N(int64(c.options.Ramp)+1))) {
				return
			}
			if err := c.participate(ctx, i, random); err != nil && ctx.Err() == nil {
				c.options.Logger.Warn("a participant of the crowd gave up", "participant", i, "error", err)
			}
		})
	}
	wait.Wait()
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// names are given in turn; the number keeps them apart.
var names = []string{"Mei", "Hao", "Lin", "Yu", "Chen", "Jia", "Wei", "An", "Ting", "Rui", "Shan", "Kai", "Nian", "Pei", "Xin", "Zhi"}

func (c *Crowd) participate(ctx context.Context, i int, random *rand.Rand) error {
	walker := NewWalker(c.options.Area, random)
	seen := &sightings{}
	name := fmt.Sprintf("%s %d", names[i%len(names)], i+1)
	options := starling.Options{Ring: 1}
	token, err := c.options.Token(fmt.Sprintf("crowd-%d", i))
	if err != nil {
		return err
	}
	options.Token = starling.StaticToken(token)
	options.Start = starling.Geographic(walker.At.Lat, walker.At.Lng, 0)
	options.NoView = true
	options.Name = "starling crowd"
	options.Attributes = &starlingv1.Attributes{Values: map[string]*starlingv1.Value{
		"name": {Is: &starlingv1.Value_Text{Text: name}},
	}}
	options.OnFrame = seen.note
	latency := c.options.Latency
	if latency != nil {
		options.OnFrame = func(f *starlingv1.CellFrame, received time.Time) {
			seen.note(f, received)
			latency.frame(f, received)
		}
	}
	client, err := starling.Dial(ctx, c.options.URL, options)
	if err != nil {
		return err
	}
	defer client.Close()
	c.Connected.Add(1)
	defer c.Connected.Add(-1)

	if i < c.options.Things {
		c.do(client, &starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: ThingKind, Pose: pose(walker)}}}, nil)
	}
	holding, number := uint64(0), client.Session().NextNumber
	if i < c.options.Things {
		number++
	}
	last := time.Now()
	for due := last; ; {
		due = due.Add(time.Duration(random.ExpFloat64() / c.options.Rate * float64(time.Second)))
		if !pause(ctx, time.Until(due)) {
			return client.Err()
		}
		walker.Step(due.Sub(last).Seconds())
		last = due
		act := &starlingv1.Act{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(walker)}}}
		if random.Float64() < c.options.Others {
			if act = another(random, seen, &holding); act == nil {
				continue
			}
		}
		var told func()
		if latency != nil {
			avatar, mine := client.Session().Avatar, number
			latency.sent(avatar, mine, due)
			told = func() { latency.outcome(avatar, mine) }
		}
		if c.do(client, act, told) {
			number++
		}
	}
}

func pose(w *Walker) *starlingv1.Pose {
	return &starlingv1.Pose{
		Position: starling.Geographic(w.At.Lat, w.At.Lng, 0),
		Velocity: &starlingv1.Vector{East: float32(w.East), North: float32(w.North)},
	}
}

var sayings = []string{"hello!", "which way to the night market?", "over here", "nice view of 101", "wait for me", "did you catch it?", "一起走吧", "it went left", "see you at the fountain", "haha"}

// another picks an action other than a move: somebody speaks, touches, grabs or drops.
func another(random *rand.Rand, seen *sightings, holding *uint64) *starlingv1.Act {
	if *holding != 0 {
		thing := *holding
		*holding = 0
		return &starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: thing}}}
	}
	switch what := random.Float64(); {
	case what < 0.5:
		return &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: sayings[random.IntN(len(sayings))]}}}}
	case what < 0.75:
		target := seen.any(random)
		if target == nil {
			return nil
		}
		return &starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: target}}}
	default:
		target := seen.thing(random)
		if target == nil {
			return nil
		}
		*holding = target.Entity
		return &starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: target}}}
	}
}

// do asks for an action; false if the client takes no more now.
func (c *Crowd) do(client *starling.Client, act *starlingv1.Act, told func()) bool {
	c.Sent.Add(1)
	err := client.Do(act, func(out starling.Outcome) {
		switch {
		case out.Err == nil:
			c.Applied.Add(1)
		case errors.As(out.Err, new(*starling.RefusedError)):
			c.Refused.Add(1)
		default:
			c.Failed.Add(1)
		}
		if told != nil {
			told()
		}
	})
	if err != nil {
		c.Failed.Add(1)
	}
	return err == nil
}

// sightings remembers a few entities that were seen lately, for touching and
// grabbing.
type sightings struct {
	mu     sync.Mutex
	others ring
	things ring
}

type ring struct {
	seen [16]starlingv1.Target
	next int
}

func (r *ring) put(entity, cell uint64) {
	t := &r.seen[r.next%len(r.seen)]
	t.Entity, t.Cell = entity, cell
	r.next++
}

func (r *ring) pick(random *rand.Rand) *starlingv1.Target {
	n := min(r.next, len(r.seen))
	if n == 0 {
		return nil
	}
	t := &r.seen[random.IntN(n)]
	return &starlingv1.Target{Entity: t.Entity, Cell: t.Cell}
}

func (s *sightings) note(frame *starlingv1.CellFrame, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, commit := range frame.Commits {
		for _, step := range commit.Steps {
			update := step.GetUpdate()
			if update == nil {
				continue
			}
			if update.Kind == ThingKind {
				s.things.put(update.Entity, frame.Cell)
			} else {
				s.others.put(update.Entity, frame.Cell)
			}
		}
	}
}

func (s *sightings) any(random *rand.Rand) *starlingv1.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.others.pick(random)
}

func (s *sightings) thing(random *rand.Rand) *starlingv1.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.things.pick(random)
}
