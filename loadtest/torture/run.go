package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// Options of a run.
type Options struct {
	Binary  string // of starling
	Seed    uint64 // of everything random
	Folder  string // for the processes' logs, and for the histories of a run that failed; "" makes a temporary one
	Players int    // default 400
	Rate    float64
	Bus     string        // bus.kind of the processes; default direct
	Slow    time.Duration // what clients that waited longer lived through is told; default 500 ms
}

// Scenario is a fault, and what it is done to.
type Scenario struct {
	Name  string
	Shape Shape
	// Fault does harm, at the instant at which it is called, and returns once it
	// is over. What it finds wrong by itself is an error.
	Fault func(ctx context.Context, r *Run) error
}

// Run is one run of a scenario.
type Run struct {
	Scenario Scenario
	Cluster  *Cluster
	Players  *Players
	Random   *rand.Rand
	Report   Report

	options Options
	began   time.Time // of the play
	after   []func(ctx context.Context, shards []check.Shard) error
}

const (
	runTime     = 4 * time.Minute // and no run takes so long but on a machine that hardly moves
	settleTime  = time.Minute
	quietTime   = 2 * time.Second // that the logs stand still: digests pass and gaps are repaired within 1 s
	recoverTime = 1500 * time.Millisecond
)

// Execute runs a scenario once. The error says what went wrong besides
// violations of promises, which are in the report.
func Execute(ctx context.Context, s Scenario, o Options) (*Report, error) {
	if o.Players == 0 {
		o.Players = 400
	}
	if o.Rate == 0 {
		o.Rate = 2.5
	}
	if o.Bus == "" {
		o.Bus = "direct"
	}
	if o.Slow == 0 {
		o.Slow = 500 * time.Millisecond
	}
	own := o.Folder == ""
	if own {
		var err error
		if o.Folder, err = os.MkdirTemp("", "torture-"); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	r := &Run{Scenario: s, options: o, Random: rand.New(rand.NewPCG(o.Seed, 0x7a11))}
	r.Scenario.Shape.Settings = append(slices.Clone(s.Shape.Settings), "bus.kind="+o.Bus)
	r.Report = Report{Scenario: s.Name, Bus: o.Bus, Seed: o.Seed, Folder: o.Folder}
	err := r.run(ctx)
	if own && err == nil && len(r.Report.Violations) == 0 {
		r.Report.Folder = ""
		err = os.RemoveAll(o.Folder)
	}
	return &r.Report, err
}

func (r *Run) run(ctx context.Context) (err error) {
	began := time.Now()
	defer func() { r.Report.Took = time.Since(began) }()
	if r.Cluster, err = StartCluster(ctx, r.options.Binary, r.options.Folder, r.Scenario.Shape); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Cluster.Close()) }()
	if r.Players, err = NewPlayers(ctx, r.Cluster, r.options.Players, r.options.Rate, r.options.Seed); err != nil {
		return err
	}
	defer r.Players.Close()
	if err := r.play(ctx); err != nil {
		r.Report.clients(r.Players, r.began, r.options.Slow)
		return errors.Join(err, r.describeStuck(ctx), r.keep(r.Players.Histories()))
	}
	err = r.quiet(ctx)
	r.Report.clients(r.Players, r.began, r.options.Slow)
	if err != nil {
		return errors.Join(err, r.describeStuck(ctx), r.keep(r.Players.Histories()))
	}
	return r.check(ctx)
}

// play lets the players act, does the fault in the middle, and gives them time
// to go on after it.
func (r *Run) play(ctx context.Context) error {
	began := time.Now()
	r.began = began
	watch, watched := context.WithCancel(ctx)
	stall := longestStall(watch)
	defer func() {
		watched()
		r.Report.Stall = <-stall
	}()
	r.Players.Play()
	defer r.Players.Rest()
	warmUp := 1500*time.Millisecond + time.Duration(r.Random.Int64N(int64(1500*time.Millisecond)))
	if !pause(ctx, warmUp) {
		return ctx.Err()
	}
	r.Report.Rate = float64(r.Players.Sent.Load()) / time.Since(began).Seconds()
	r.busy(ctx)
	fault := time.Now()
	r.Report.Warm = fault.Sub(began)
	if r.Scenario.Fault != nil {
		if err := r.Scenario.Fault(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.Scenario.Name, err)
		}
	}
	over := time.Now()
	if !pause(ctx, recoverTime) {
		return ctx.Err()
	}
	r.Players.Rest()
	r.Report.Fault = over.Sub(fault)
	return nil
}

// quiet waits until every outcome is in and nothing moves any more.
func (r *Run) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	why := ""
	err := poll(ctx, "all outcomes", func() (ok bool, err error) {
		ok, why = r.Players.Settled()
		return ok, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, why)
	}
	return r.still(ctx)
}

// still waits until no log grew for a while.
func (r *Run) still(ctx context.Context) error {
	var last map[world.ShardID]world.Holder
	since := time.Now()
	return poll(ctx, "the logs to stand still", func() (bool, error) {
		now, err := r.Cluster.Holders(ctx)
		if err != nil {
			return false, nil // a node of the store may be away still
		}
		if !same(last, now) {
			last, since = now, time.Now()
		}
		pause(ctx, 100*time.Millisecond)
		return time.Since(since) >= quietTime, nil
	})
}

func same(a, b map[world.ShardID]world.Holder) bool {
	if len(a) != len(b) {
		return false
	}
	for id, h := range a {
		if b[id].Sequence != h.Sequence {
			return false
		}
	}
	return true
}

// check holds the histories against the logs.
func (r *Run) check(ctx context.Context) error {
	if ok, why := r.Players.Settled(); !ok {
		return fmt.Errorf("after quiet: %s", why)
	}
	histories := r.Players.Histories()
	shards, err := check.ReadShards(ctx, r.Cluster.Log)
	if err != nil {
		return err
	}
	r.Report.Violations = check.Run(check.Input{
		Shards: shards, Clients: histories, Map: r.Cluster.Map, Disk: hex.Disk, Quiet: true,
	})
	r.Report.servers(r.Cluster, shards)
	err = r.Cluster.crashed()
	for _, after := range r.after {
		err = errors.Join(err, after(ctx, shards))
	}
	if err != nil || len(r.Report.Violations) > 0 {
		return errors.Join(err, r.keep(histories), r.keepViolations())
	}
	return nil
}

func (r *Run) keep(histories []check.History) error {
	file, err := os.Create(filepath.Join(r.options.Folder, "histories.jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	return check.WriteHistories(file, histories)
}

func (r *Run) keepViolations() error {
	text := ""
	for _, v := range r.Report.Violations {
		text += v.String() + "\n"
	}
	return os.WriteFile(filepath.Join(r.options.Folder, "violations.txt"), []byte(text), 0o644)
}
