package trial

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
)

// parameters are what With changes.
var parameters = map[string]func(*Spec, float64) error{
	"participants": func(s *Spec, v float64) error {
		s.Participants = int(math.Round(v))
		return nil
	},
	"rate": func(s *Spec, v float64) error {
		s.Rate = v
		return nil
	},
	"density": func(s *Spec, v float64) error {
		if len(s.Scenario.Clusters) == 0 {
			return errors.New("only scenarios with clusters have a density that can be changed; try group-size")
		}
		s.Density = v
		return nil
	},
	"group-size": groupSize,
	"shards":     shards,
	"owners": func(s *Spec, v float64) error {
		if s.Self == nil || s.Self.Store != "redis" {
			return errors.New("several owners need --self with --store redis")
		}
		self := *s.Self
		self.Owners = int(math.Round(v))
		s.Self = &self
		return nil
	},
	"work": func(s *Spec, v float64) error {
		s.Scenario.Work.PerNeighbour = scenario.Duration(v * float64(time.Microsecond))
		if m := &s.Scenario.Mix; m.Work == 0 {
			m.Work, m.Move = m.Move, 0
		}
		return nil
	},
}

// Parameters lists what a sweep can change.
func Parameters() []string {
	var names []string
	for name := range parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// With gives the spec with a parameter changed.
func (s *Spec) With(parameter string, value float64) (Spec, error) {
	change, known := parameters[parameter]
	if !known {
		return *s, fmt.Errorf("parameter %q: want one of %s", parameter, strings.Join(Parameters(), ", "))
	}
	out := *s
	changed, err := clone(s.Scenario)
	if err != nil {
		return out, err
	}
	out.Scenario = changed
	if err := change(&out, value); err != nil {
		return out, fmt.Errorf("%s %g: %w", parameter, value, err)
	}
	return out, changed.Validate()
}

// clone copies a scenario by way of its file.
func clone(s *scenario.Scenario) (*scenario.Scenario, error) {
	text, err := s.TOML()
	if err != nil {
		return nil, err
	}
	return scenario.Parse(s.Name, text)
}

func groupSize(s *Spec, v float64) error {
	size := int(math.Round(v))
	switch {
	case s.Scenario.Groups != nil:
		s.Scenario.Groups.Size = size
	case s.Scenario.Matches != nil:
		s.Scenario.Matches.Size = size
	default:
		return errors.New("the scenario has neither groups nor matches")
	}
	return nil
}

// shards spreads the groups over so many shards, as nearly as whole groups allow.
func shards(s *Spec, v float64) error {
	g := s.Scenario.Groups
	if g == nil {
		return errors.New("only scenarios with groups can be spread over shards")
	}
	participants := s.Participants
	if participants == 0 {
		participants = s.Scenario.Participants
	}
	groups := float64((participants + g.Size - 1) / g.Size)
	if v < 1 || v > groups {
		return fmt.Errorf("%d participants in groups of %d make %g groups, which lie in 1 to %g shards: use other --values, or more --participants", participants, g.Size, groups, groups)
	}
	if most := float64(scenario.GroupsInShard); groups > most*v {
		least := math.Ceil(groups / most)
		return fmt.Errorf("%d participants in groups of %d make %g groups, and a shard has room for %g: use --values of %g or more, or --participants %d or less",
			participants, g.Size, groups, most, least, int(most*v)*g.Size)
	}
	g.PerShard = int(math.Ceil(groups / v))
	return nil
}

// Lambda is the mean rate of a participant, actions per second.
func (s *Spec) Lambda() float64 {
	if s.Rate > 0 {
		return s.Rate
	}
	crowd, err := scenario.New(s.Scenario, scenario.Options{Participants: 1, Duration: time.Second})
	if err != nil {
		return 0
	}
	return crowd.Rate()
}
