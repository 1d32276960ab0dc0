package trigger

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/kernels"
)

// Spec says what to run.
type Spec struct {
	// Rate is N_t, records per second from all pollers; +Inf for as many as can be
	// decided, one after another, with no deadline.
	Rate Rate
	// Net names a network that comes with the program; "" takes one of the generated
	// family, with about Operations (Op) operations for each record of Size (S_t) bytes.
	Net              string
	Operations, Size int
	// Limit is L_t: a decision later than that is missed.
	Limit time.Duration
	// SampleRate is N_s, samples per second for updateModel; 0 for none.
	SampleRate float64
	// Select is the share of the background that the network is set to select.
	Select float64
	// SwapEvery is how often new weights are swapped in; 0 for never.
	SwapEvery time.Duration
	// Duration is for how long the network runs; the empty function's turns come to
	// half of that, beside it.
	Duration time.Duration
	// Turn is about how long the network runs before it is the empty function's turn;
	// 0 for a second.
	Turn time.Duration
	// Pace says whether pollers leave their cores.
	Pace Pace
	// Cores is how many pollers there are, each on a core of its own; 0 for all.
	Cores int
	// Batch is the most records decided at once; 0 for all that kernels can take.
	Batch int
	// Place is where the records lie: in the cache "l2" or "l3", or in "memory".
	Place string
	// Instructions are the kernels' set ("vnni", "avx2", "go"); "" for the best.
	Instructions string
	// Nice is the pollers' niceness.
	Nice int
	// Seed is of everything random.
	Seed uint64
	// Label is what the user calls this run.
	Label string
	// Command is the command line, for the result.
	Command string
}

// Rate is a number of records per second that can be written as JSON.
type Rate float64

// MarshalText writes +Inf as "max".
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (r *Rate) UnmarshalText(text []byte) error { return r.Set(string(text)) }

// String writes +Inf as "max".
func (r Rate) String() string {
	if math.IsInf(float64(r), 1) {
		return "max"
	}
	return fmt.Sprintf("%g", float64(r))
}

// Type is what a flag calls it.
func (r *Rate) Type() string { return "rate" }

// Set reads a number or "max".
func (r *Rate) Set(text string) error {
	if text == "max" {
		*r = Rate(math.Inf(1))
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return fmt.Errorf("%q: want records per second like 40e6, or max", text)
	}
	*r = Rate(v)
	return nil
}

// Pace is a stream.Pace as flags and JSON have it.
type Pace string

// Stream gives the pace for a function.
func (p Pace) Stream() (stream.Pace, error) {
	for _, pace := range []stream.Pace{stream.Pinned, stream.Yielding} {
		if string(p) == pace.String() {
			return pace, nil
		}
	}
	return 0, fmt.Errorf("poller %q: want pinned or yielding", string(p))
}

// Places are where records may lie.
func Places() []string { return []string{"l2", "l3", "memory"} }

func (s *Spec) check() error {
	if _, err := s.Pace.Stream(); err != nil {
		return err
	}
	switch {
	case !(s.Rate > 0):
		return fmt.Errorf("rate %v: want more than 0", s.Rate)
	case s.Limit <= 0:
		return fmt.Errorf("limit %v: want more than 0", s.Limit)
	case s.Duration < 100*time.Millisecond:
		return fmt.Errorf("duration %v: want 100ms or more", s.Duration)
	case s.Turn != 0 && s.Turn < shortestTurn:
		return fmt.Errorf("turn %v: want %v or more", s.Turn, shortestTurn)
	case !(s.SampleRate >= 0 && s.SampleRate <= 1e6):
		return fmt.Errorf("sample rate %g: want 0 to 1e6", s.SampleRate)
	case !(s.Select >= 0 && s.Select <= 1):
		return fmt.Errorf("select %g: want a share, 0 to 1", s.Select)
	case s.Cores < 0:
		return fmt.Errorf("cores %d: want 1 or more, or 0 for all", s.Cores)
	case s.Batch < 0 || s.Batch > stream.MostAtOnce:
		return fmt.Errorf("batch %d: want 1 to %d, or 0 for the most", s.Batch, stream.MostAtOnce)
	case s.Nice < -20 || s.Nice > 19:
		return fmt.Errorf("nice %d: want -20 to 19", s.Nice)
	case s.SwapEvery < 0:
		return fmt.Errorf("swap-every %v: want 0 (never) or more", s.SwapEvery)
	case s.Net == "" && (s.Operations <= 0 || s.Size <= 0):
		return fmt.Errorf("give a network, or operations and size of one")
	case s.Net != "" && (s.Operations != 0 || s.Size != 0):
		return fmt.Errorf("network %s has its own operations and size: give either", s.Net)
	}
	if s.Instructions != "" && !slices.Contains(Instructions(), s.Instructions) {
		return fmt.Errorf("instructions %q: want one of %v", s.Instructions, Instructions())
	}
	for _, set := range kernels.Sets() {
		if set.String() == s.Instructions && !set.Available() {
			return fmt.Errorf("instructions %q: this machine lacks them", s.Instructions)
		}
	}
	if !slices.Contains(Places(), s.Place) {
		return fmt.Errorf("place %q: want one of %v", s.Place, Places())
	}
	return nil
}

// Instructions are the sets of instructions that kernels may be for.
func Instructions() (names []string) {
	for _, set := range kernels.Sets() {
		names = append(names, set.String())
	}
	return names
}
