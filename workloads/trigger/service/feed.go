package service

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/detector"
)

// Feed is where a trigger's records come from.
type Feed struct {
	// Name is what the log and the page of `starling dev` say of it, e.g. "the
	// calorimeter's front end".
	Name string
	// Sources bring the records, of the size of trigger.network's; each has a poller of
	// its own, instead of trigger.pollers.
	Sources []stream.Source
	// Energy gives the energy of a record in GeV.
	Energy func(record []byte) float64
	// Truth gives the class of a sampled record, for retraining; nil if it never is known.
	Truth func(s *stream.Sample) (class int, known bool)
	// Memory is the bytes that the records of a source lie in.
	Memory int64
	// Close is called once nothing reads the sources any more; may be nil.
	Close func() error
}

// The arena of a synthetic feed has mostEvents records, or as many as fit into
// arenaBytes: the second-level cache of most processors.
const (
	mostEvents = 1 << 11
	arenaBytes = 512 << 10
)

// synthetic makes a feed of simulated events; of records that are empty, for a test of
// what the machine can hold, if they are not to be simulated.
func (c *Config) synthetic(simulate bool) (*Feed, error) {
	n, recipe, err := c.first()
	if err != nil {
		return nil, err
	}
	d := recipe.Detector(detector.Conditions{})
	if n.Shape.Size != d.Size() {
		return nil, fmt.Errorf("trigger.weights: a network for records of %d bytes; those of trigger.network %s have %d", n.Shape.Size, c.Network, d.Size())
	}
	count := min(mostEvents, arenaBytes/stream.Stride(d.Size()))
	var arenas []*stream.Arena
	closeAll := func() (err error) {
		for _, a := range arenas {
			err = errors.Join(err, a.Close())
		}
		return err
	}
	f := &Feed{Energy: d.Energy, Close: closeAll}
	var classes []uint8
	for i := range c.Pollers {
		arena, err := stream.NewArena(count, d.Size())
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		arenas = append(arenas, arena)
		switch {
		case !simulate:
		case i == 0:
			classes = c.fill(arena, d)
		default:
			copyFrom(arena, arenas[0])
		}
		f.Sources = append(f.Sources, &stream.Schedule{
			Arena: arena, Rate: c.Rate / float64(c.Pollers), Phase: float64(i) / float64(c.Pollers),
		})
	}
	f.Truth = func(s *stream.Sample) (int, bool) {
		return int(classes[s.Sequence%uint64(len(classes))]), true
	}
	f.Memory = int64(arenas[0].Bytes())
	f.Name = fmt.Sprintf("the built-in simulated detector (%s): %d events made beforehand fall due by the clock, over and over; no real detector is connected",
		c.Network, arenas[0].Len())
	return f, nil
}

// fill simulates the events of an arena, and gives their classes.
func (c *Config) fill(arena *stream.Arena, d detector.Detector) []uint8 {
	random := rand.New(rand.NewPCG(uint64(c.Seed), 3))
	classes := make([]uint8, arena.Len())
	for i := range classes {
		class := detector.Mix(random, d, c.Signals)
		d.Event(random, class, arena.Record(i))
		classes[i] = uint8(class)
	}
	return classes
}

// copyFrom gives each poller an arena of its own, in caches of its own.
func copyFrom(to, from *stream.Arena) {
	for i := range from.Len() {
		copy(to.Record(i), from.Record(i))
	}
}

func (f *Feed) close() error {
	if f.Close == nil {
		return nil
	}
	return f.Close()
}
