package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger"
	"github.com/starling-vr/starling/workloads/trigger/archive"
)

// Deps are what the service works with.
type Deps struct {
	Scheduler  *invoke.Scheduler
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Feed brings the records; nil: the simulated detector does.
	Feed *Feed
}

// Service is a trigger that runs.
type Service struct {
	trigger *trigger.Trigger
	archive *archive.Archive
	feed    *Feed
	log     *slog.Logger
	told    *failures
}

// Admit says what New would refuse the settings for, with the arithmetic. Nothing of it
// is left on the scheduler, and no file is touched but that of the weights. There must be
// one thread (GOMAXPROCS) more than pollers.
func (c *Config) Admit(scheduler *invoke.Scheduler, feed *Feed) error {
	settings, feed, err := c.prepare(feed, false)
	if err != nil {
		return err
	}
	return errors.Join(c.explain(trigger.Admit(scheduler, settings)), feed.close())
}

// Threads is how many pollers there are: each keeps a thread of those that run Go
// (GOMAXPROCS), of which there must be as many more.
func (c *Config) Threads(feed *Feed) int {
	if feed != nil {
		return len(feed.Sources)
	}
	return c.Pollers
}

// prepare gives the trigger's settings, but for the archive. One who gives a feed closes
// it; the one returned closes what was made.
func (c *Config) prepare(given *Feed, simulate bool) (trigger.Settings, *Feed, error) {
	n, _, err := c.first()
	if err != nil {
		return trigger.Settings{}, nil, err
	}
	feed := new(Feed)
	if given != nil {
		*feed = *given
		feed.Close = nil
	} else if feed, err = c.synthetic(simulate); err != nil {
		return trigger.Settings{}, nil, err
	}
	s := c.settings(n)
	s.Sources, s.Energy, s.Update.Truth, s.Memory = feed.Sources, feed.Energy, feed.Truth, feed.Memory
	return s, feed, nil
}

// New deploys the trigger and lets its records fall due. Close ends it, and then the
// feed.
func New(c Config, d Deps) (*Service, error) {
	settings, feed, err := c.prepare(d.Feed, true)
	if err != nil {
		return nil, err
	}
	if d.Feed != nil {
		feed.Close = d.Feed.Close
	}
	s := &Service{feed: feed, log: d.Log, told: newFailures(d.Log, time.Now)}
	s.archive, err = archive.Open(c.Archive.Directory, archive.Options{
		TotalBytes: c.Archive.Bytes, SegmentBytes: min(c.Archive.Bytes/8, mostSegment), DropOldest: c.Archive.DropOldest, Sync: syncs[c.Archive.Sync],
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("trigger.archive.directory: %w", err), feed.close())
	}
	settings.Archive, settings.Failed = s.archive, s.told.tell
	s.trigger, err = trigger.Deploy(d.Scheduler, settings)
	if err != nil {
		return nil, errors.Join(c.explain(err), s.archive.Close(), feed.close())
	}
	for _, collector := range []prometheus.Collector{trigger.NewCollector(s.trigger), archive.NewCollector(s.archive)} {
		if err := d.Registerer.Register(collector); err != nil {
			return nil, errors.Join(err, s.Close(context.Background()))
		}
	}
	s.log.Info("the trigger runs", "network", c.Network, "weights", c.Weights, "rate_per_s", c.Rate, "deadline", c.Deadline, "pollers", len(feed.Sources), "pace", c.Pace,
		"instructions", s.Stats().Instructions, "archive", c.Archive.Directory, "source", feed.Name)
	for _, note := range s.Stats().Inference.Notes {
		s.log.Warn("the trigger does not have all that was asked for", "why", note)
	}
	return s, nil
}

// mostSegment is how long a file of the archive may become.
const mostSegment = 64 << 20

// explain tells a refusal for want of cores with what to do about it.
func (c *Config) explain(err error) error {
	var short *invoke.NotAdmittedError
	if !errors.As(err, &short) {
		if err != nil {
			err = fmt.Errorf("trigger: %w", err)
		}
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "trigger: %s is not admitted; this process cannot hold what is promised:", short.Function)
	told := make(map[string]bool)
	for _, s := range short.Shortages {
		if !told[s.Resource] {
			told[s.Resource] = true
			fmt.Fprintf(&b, "\n  %s: %s", s.Resource, s.Arithmetic)
		}
	}
	b.WriteString("\nLower trigger.rate, trigger.pollers, trigger.chain.rate or trigger.update.sample_rate, or raise the deadline; pinned pollers want a process of role trigger alone; docs/reference/invoke.md explains the tests.")
	return errors.New(b.String())
}

// Stats tells what was done so far.
func (s *Service) Stats() *trigger.Stats { return s.trigger.Stats() }

// Source is what is said of where the records come from.
func (s *Service) Source() string { return s.feed.Name }

// Close stops the pollers, lets what was selected go through the chain until ctx ends,
// and closes the archive and the feed. The error says what was lost, or hangs.
func (s *Service) Close(ctx context.Context) error {
	_ = s.trigger.Inference().Close() // what hangs the trigger's Close says again
	left := s.drain(ctx)
	err := s.trigger.Close()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("trigger: %d selected events were still in the chain, and are lost", left))
	}
	err = errors.Join(err, s.archive.Close())
	if hung := (*stream.HungError)(nil); !errors.As(err, &hung) {
		err = errors.Join(err, s.feed.close()) // else a kernel still reads the records
	}
	s.told.flush()
	return err
}

// drain waits until nothing is in the chain, and gives how much is.
func (s *Service) drain(ctx context.Context) uint64 {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		left := s.Stats().ChainUnderWay
		if left == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return left
		case <-tick.C:
		}
	}
}
