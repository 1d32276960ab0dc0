// Package trial makes one run of a load test from beginning to end: the server,
// if it is to be started, the crowd, its places and tokens, the run, and what
// describes it in the report.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/starling-vr/starling/internal/version"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/target"
)

// Spec says what to run. Exactly one of Self and Targets is set.
type Spec struct {
	Scenario     *scenario.Scenario
	Participants int           // 0: the scenario's
	Rate         float64       // mean lambda; 0: the scenario's
	Density      float64       // as a factor; 0: 1
	Seed         uint64        // of everything random
	Deadline     time.Duration // D
	Warmup       time.Duration
	Duration     time.Duration
	Stuck        int // participants who read nothing

	Self    *target.Options
	Targets []string // websocket addresses
	Metrics []string // /metrics of the target's processes
	Tokens  Tokens   // of a target

	Label   string
	Command string
	Title   string
	Watch   func(report.Snapshot)
	Log     *slog.Logger
}

// Tokens gives tokens to participants, and one to whoever makes the places.
type Tokens interface {
	Participant(i int) (string, error)
	PlaceMaker() (string, error)
}

// Run makes the run.
func Run(ctx context.Context, s Spec) (*report.Run, error) {
	crowd, err := scenario.New(s.Scenario, scenario.Options{
		Participants: s.Participants, Rate: s.Rate, Seed: s.Seed, Duration: s.Warmup + s.Duration, Density: s.Density,
	})
	if err != nil {
		return nil, err
	}
	if err := generator.CheckFiles(crowd.Present()); err != nil {
		return nil, err
	}
	started := crowd.Figures()
	config := generator.Config{
		Targets: s.Targets, Crowd: crowd, Deadline: s.Deadline, Warmup: s.Warmup, Duration: s.Duration,
		Work: workArguments(s.Scenario), Seed: s.Seed, Watch: s.Watch, Title: s.Title, Log: s.Log, Leave: s.Self == nil, Stuck: s.Stuck,
	}
	tokens := s.Tokens
	if s.Self != nil {
		if s.Watch != nil {
			s.Watch(report.Snapshot{Title: s.Title, Phase: report.Starting, Participants: crowd.Present()})
		}
		options := *s.Self
		options.Set = append(slices.Clone(options.Set), workSettings(s.Scenario)...)
		self, err := target.Start(ctx, options)
		if err != nil {
			return nil, err
		}
		defer self.Stop()
		tokens = KeyTokens([]byte(self.Key()))
		config.Targets, config.Server = []string{self.URL()}, self
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			select {
			case <-self.Exited():
				cancel(errors.New("the server ended during the run"))
			case <-ctx.Done():
			}
		}()
	} else if meter := target.NewRemote(s.Metrics); meter != nil {
		if err := meter.Check(ctx); err != nil {
			return nil, err
		}
		config.Server = meter
	}
	r, err := s.drive(ctx, config, tokens)
	if err != nil {
		return nil, err
	}
	s.describe(r, crowd, &started)
	return r, nil
}

func (s *Spec) drive(ctx context.Context, config generator.Config, tokens Tokens) (*report.Run, error) {
	config.Token = tokens.Participant
	if places := config.Crowd.Places(); len(places) > 0 {
		token, err := tokens.PlaceMaker()
		if err != nil {
			return nil, err
		}
		made, err := generator.CreatePlaces(ctx, config.Targets[0], token, places)
		if err != nil {
			return nil, err
		}
		config.Places = made.IDs
		defer func() { _ = made.Close(context.WithoutCancel(ctx), config.Leave) }()
	}
	return generator.Run(ctx, config)
}

// describe says what was run.
func (s *Spec) describe(r *report.Run, crowd *scenario.Crowd, started *scenario.Figures) {
	r.Starling, r.Label, r.Command, r.Scenario = version.String(), s.Label, s.Command, s.Scenario.Name
	r.Seed = s.Seed
	switch {
	case s.Self != nil && s.Self.Yardstick != nil:
		r.Target, r.Backend, r.WaitMS = "self", report.Yardstick, s.Self.Yardstick.Wait.Seconds()*1000
	case s.Self != nil:
		r.Target, r.Backend, r.Store, r.Durability, r.Owners = "self", report.Starling, s.Self.Store, s.Self.Durability, max(s.Self.Owners, 1)
	default:
		r.Target = fmt.Sprint(s.Targets)
		if len(s.Targets) == 1 {
			r.Target = s.Targets[0]
		}
	}
	r.Model = model(s.Scenario, s.Density, crowd, started)
}

func model(s *scenario.Scenario, density float64, crowd *scenario.Crowd, started *scenario.Figures) report.Model {
	m := report.Model{
		RatePerParticipant: crowd.Rate(), Arrivals: "poisson", Ring: s.Ring,
		WorkUS:             float64(time.Duration(s.Work.Base)) / float64(time.Microsecond),
		WorkPerNeighbourUS: float64(time.Duration(s.Work.PerNeighbour)) / float64(time.Microsecond),
		Mix:                map[string]float64{"move": s.Mix.Move, "speak": s.Mix.Speak, "touch": s.Mix.Touch, "grab": s.Mix.Grab},
	}
	if s.Mix.Work > 0 {
		m.Mix["work"] = s.Mix.Work
	}
	if s.Arrivals.On > 0 {
		m.Arrivals = "on-off"
	}
	if len(s.Arrivals.Flash) > 0 {
		m.Arrivals += ", flash"
	}
	m.Groups = crowd.Groups()
	switch {
	case s.Groups != nil:
		m.GroupSize = float64(s.Groups.Size)
	case s.Matches != nil:
		m.GroupSize = float64(s.Matches.Size)
	default:
		m.GroupSize, m.DensityFactor = float64(crowd.Present())/float64(m.Groups), cmp.Or(density, 1)
	}
	if started.Cells > 0 {
		m.Density = float64(started.Present) / float64(started.Cells)
	}
	return m
}
