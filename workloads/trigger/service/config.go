package service

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger"
	"github.com/starling-vr/starling/workloads/trigger/archive"
	"github.com/starling-vr/starling/workloads/trigger/kernels"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// Config are the settings of the trigger.
type Config struct {
	Network      string        `toml:"network" default:"jet" doc:"jet (records of 16 bytes), image or image-deep (2,048 bytes): which events the simulated detector makes, and the network that comes with Starling for them."`
	Weights      string        `toml:"weights" default:"" doc:"Weights file (starling trigger train writes one) of a network to begin with instead, for records of the same size."`
	Rate         float64       `toml:"rate" default:"100" doc:"Records per second (N_t) that fall due, from all pollers together: 0.1 to 1e8."`
	Guarantee    bool          `toml:"guarantee" default:"true" doc:"The rate is guaranteed: what this machine cannot hold beside the other functions refuses to start, with the arithmetic. false: best effort; a core is kept for each poller all the same, since nobody knows what it will take."`
	Deadline     time.Duration `toml:"deadline" default:"10ms" doc:"From when a record is due to its decision (L_t). A yielding poller in a process with other roles holds milliseconds; microseconds and less need pinned pollers, in a process of role trigger alone, on cores that nothing else runs on."`
	MissTarget   float64       `toml:"miss_target" default:"0.01" doc:"Tolerated share (0..1) of the records that are decided later."`
	Pollers      int           `toml:"pollers" default:"1" doc:"Goroutines that decide, each with a thread of its own."`
	Pace         string        `toml:"pace" default:"yielding" doc:"yielding: a poller sleeps until a record is due, or a third of the deadline longer so that one wake-up serves several; with the default deadline that takes some 4 % of a core at 100 to 1,000 records/s, with deadlines of microseconds all of a core that others leave. pinned: it has a core for itself and never leaves it."`
	Nice         int           `toml:"nice" default:"0" doc:"Niceness of the pollers' threads, -20 to 19 (Linux); below 0 needs the right to. 10 for a yielding poller beside actions that hardly ever sleeps, because its deadline is short."`
	Instructions string        `toml:"instructions" default:"" doc:"Kernels for these instructions: vnni, avx2 or go. Empty: the fastest that the machine has and that decides as go does."`
	LeastEnergy  float64       `toml:"least_energy" default:"0" doc:"GeV that a selected event must have to be kept."`
	Signals      float64       `toml:"signals" default:"0.001" doc:"Share (0..1) of the simulated events that are no background."`
	Seed         int64         `toml:"seed" default:"1" doc:"Of the simulated events."`

	Chain   Chain   `toml:"chain" doc:"What becomes of selected events: measure_energy, select_event, format_event, serialise_event, archive_event."`
	Archive Archive `toml:"archive" doc:"Where archive_event keeps them."`
	Update  Update  `toml:"update" doc:"updateModel, which looks at samples for drift and has the model retrained."`
}

// Chain holds the settings of the functions behind the selection.
type Chain struct {
	Rate       float64       `toml:"rate" default:"10" doc:"Selected events per second that each function is guaranteed to deal with; 0: best effort. The networks that come with Starling select 2 % of the background."`
	Deadline   time.Duration `toml:"deadline" default:"100ms" doc:"From when a record was due to the end of the last function."`
	Hard       bool          `toml:"hard" default:"false" doc:"What cannot meet the deadline any more is dropped, and counted."`
	MissTarget float64       `toml:"miss_target" default:"0.01" doc:"Tolerated share (0..1) of guaranteed events that are late."`
}

// Archive holds the settings of the file store.
type Archive struct {
	Directory  string `toml:"directory" default:"" doc:"Of the archive's files, of one process at a time. Required."`
	Bytes      int64  `toml:"bytes" default:"1073741824" doc:"The most that its files may take together."`
	DropOldest bool   `toml:"drop_oldest" default:"true" doc:"When the bound is reached the oldest file goes. false: what comes then is refused, which counts as a failure of archive_event."`
	Sync       string `toml:"sync" default:"interval" doc:"When events are forced to the disk: interval (each second, so the loss of power costs one), each, or never (the system does it some time)."`
}

// Update holds the settings of updateModel.
type Update struct {
	SampleRate float64       `toml:"sample_rate" default:"20" doc:"Records per second (N_s) that go to updateModel, each an invocation, guaranteed with trigger.guarantee; 0: none, and the model stays as it is."`
	Deadline   time.Duration `toml:"deadline" default:"1s" doc:"From when a sampled record was due until it has been looked at."`
	MissTarget float64       `toml:"miss_target" default:"0.01" doc:"Tolerated share (0..1) of the samples that are late."`
	Window     int           `toml:"window" default:"2048" doc:"Samples that are compared with those before at a time."`
	Samples    int           `toml:"samples" default:"4096" doc:"Samples that a retraining takes."`
}

var syncs = map[string]archive.Sync{"interval": archive.SyncInterval, "each": archive.SyncEach, "never": archive.SyncNever}

// Check says what is wrong with the settings.
func (c *Config) Check() error {
	var wrong []error
	want := func(holds bool, format string, args ...any) {
		if !holds {
			wrong = append(wrong, fmt.Errorf("trigger."+format, args...))
		}
	}
	isShare := func(name string, v float64) { want(v >= 0 && v <= 1, "%s %g: want a share, 0 to 1", name, v) }
	want(c.Rate >= 0.1 && c.Rate <= 1e8, "rate %g: want 0.1 to 1e8 records/s", c.Rate)
	want(c.Deadline > 0, "deadline %v: want more than 0", c.Deadline)
	want(c.Pollers >= 1 && c.Pollers <= mostPollers, "pollers %d: want 1 to %d", c.Pollers, mostPollers)
	_, err := c.pace()
	want(err == nil, "%v", err)
	want(c.Nice >= -20 && c.Nice <= 19, "nice %d: want -20 to 19", c.Nice)
	want(c.Instructions == "" || slices.Contains(instructions(), c.Instructions), "instructions %q: want one of %s, or nothing", c.Instructions, strings.Join(instructions(), ", "))
	want(c.LeastEnergy >= 0 && !math.IsInf(c.LeastEnergy, 0), "least_energy %g: want 0 or more GeV", c.LeastEnergy)
	isShare("miss_target", c.MissTarget)
	isShare("signals", c.Signals)
	isShare("chain.miss_target", c.Chain.MissTarget)
	isShare("update.miss_target", c.Update.MissTarget)
	want(c.Chain.Rate >= 0 && !math.IsInf(c.Chain.Rate, 0), "chain.rate %g: want 0 or more", c.Chain.Rate)
	want(c.Chain.Deadline > 0, "chain.deadline %v: want more than 0", c.Chain.Deadline)
	want(c.Update.SampleRate >= 0 && c.Update.SampleRate <= 1e6, "update.sample_rate %g: want 0 to 1e6", c.Update.SampleRate)
	want(c.Update.Deadline > 0, "update.deadline %v: want more than 0", c.Update.Deadline)
	want(c.Update.Window >= 1 && c.Update.Samples >= 1, "update: window %d, samples %d: want 1 or more", c.Update.Window, c.Update.Samples)
	want(c.Archive.Directory != "", "archive.directory is not set: say where selected events are kept")
	want(c.Archive.Bytes >= leastArchive, "archive.bytes %d: want %d or more", c.Archive.Bytes, leastArchive)
	_, known := syncs[c.Archive.Sync]
	want(known, "archive.sync %q: want interval, each or never", c.Archive.Sync)
	if _, _, err := c.first(); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

const (
	mostPollers  = 1024
	leastArchive = 1 << 20
)

func instructions() (names []string) {
	for _, set := range kernels.Sets() {
		names = append(names, set.String())
	}
	return names
}

func (c *Config) pace() (stream.Pace, error) {
	for _, pace := range []stream.Pace{stream.Pinned, stream.Yielding} {
		if c.Pace == pace.String() {
			return pace, nil
		}
	}
	return 0, fmt.Errorf("pace %q: want yielding or pinned", c.Pace)
}

// first gives the network to begin with, and what makes events for it.
func (c *Config) first() (*network.Network, training.Recipe, error) {
	n, recipe, err := preset.Network(c.Network)
	if err != nil {
		return nil, recipe, fmt.Errorf("trigger.network: %w", err)
	}
	if c.Weights == "" {
		return n, recipe, nil
	}
	file, err := os.ReadFile(c.Weights)
	if err != nil {
		return nil, recipe, fmt.Errorf("trigger.weights: %w", err)
	}
	if n, err = network.Decode(file); err != nil {
		return nil, recipe, fmt.Errorf("trigger.weights: %s: %w", c.Weights, err)
	}
	return n, recipe, nil
}

// settings are those of the trigger, but for what a feed has.
func (c *Config) settings(n *network.Network) trigger.Settings {
	pace, _ := c.pace()
	s := trigger.Settings{
		Network: n, Instructions: c.Instructions, Limit: c.Deadline, MissTarget: c.MissTarget, Pace: pace, Nice: c.Nice,
		ChainRate: c.Chain.Rate, ChainDeadline: c.Chain.Deadline, ChainHard: c.Chain.Hard, ChainMissTarget: c.Chain.MissTarget,
		ArchiveRunTime: archiveRunTime, LeastEnergy: c.LeastEnergy, SampleRate: c.Update.SampleRate,
		Update: trigger.Update{
			Contract: invoke.Contract{Deadline: c.Update.Deadline, MissTarget: c.Update.MissTarget},
			Window:   c.Update.Window, Samples: c.Update.Samples, Seed: uint64(c.Seed),
		},
	}
	if c.Guarantee {
		s.Rate, s.Update.Contract.Rate = c.Rate, c.Update.SampleRate
	}
	return s
}

// archiveRunTime is what archive_event declares, so that a disk that takes its time
// holds up long runs only.
const archiveRunTime = 2 * time.Millisecond
