// Package generator drives a crowd against Starling over the public protocol:
// one thread, thousands of websockets, every action at its own time whatever the
// server does (an open loop), and books on who saw which action when.
//
// Latency counts from the time an action was due, not from when it was sent, so
// that a generator or a server that falls behind cannot hide it (coordinated
// omission).
package generator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/internal/arrival"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// Config of a run.
type Config struct {
	Targets []string        // websocket addresses of gateways, see ParseTarget; participants are spread over them
	TLS     *tls.Config     // of wss targets; nil: the defaults
	Crowd   *scenario.Crowd // made for Warmup + Duration
	Token   func(participant int) (string, error)
	// Places gives the id of each place that the crowd needs (Crowd.Places), by index.
	Places []uint64
	Work   []byte         // arguments of WorkFunction
	Map    world.ShardMap // zero: the default

	Deadline time.Duration // D; default 15 ms
	Warmup   time.Duration // acting, not measured; default 3 s
	Duration time.Duration // measured; default 12 s
	Grace    time.Duration // after which what has not come counts as missing; default 1 s, or twice Deadline
	RampTime time.Duration // in which all who are there from the start must be in; default 30 s and 5 ms for each
	Stuck    int           // participants who read nothing and do nothing once the crowd acts, evenly among the others
	Leave    bool          // at the end the sessions are ended, so that nothing of the crowd stays in the world

	Seed   uint64 // of masks and pauses
	Server Meter  // nil: the server's usage is not known
	Watch  func(report.Snapshot)
	Title  string // of snapshots
	Log    *slog.Logger
}

// Usage is what the server used since it started.
type Usage struct {
	CPU      float64  // processor seconds, all of it
	StoreCPU *float64 // of it the store's; nil if there is none apart, or not known
	RSS      int64    // resident memory now, bytes
	Used     *float64 // GB x second; nil: not known
	Reserved *float64 // GB x second; nil: not known
	Compute  *float64 // seconds that the functions of workflows ran; nil: not known
	Classes  map[string]report.ClassUsage
}

// AddClass adds what functions of a class used.
func (u *Usage) AddClass(class string, more report.ClassUsage) {
	if u.Classes == nil {
		u.Classes = make(map[string]report.ClassUsage)
	}
	u.Classes[class] = u.Classes[class].Plus(more, 1)
}

// Meter reads what the server used.
type Meter interface {
	Usage(ctx context.Context) (Usage, error)
}

func (c *Config) complete() error {
	orDefault(&c.Deadline, 15*time.Millisecond)
	orDefault(&c.Duration, 12*time.Second)
	orDefault(&c.Grace, max(time.Second, 2*c.Deadline))
	if c.Map == (world.ShardMap{}) {
		c.Map = world.DefaultShardMap()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Crowd == nil, c.Token == nil, len(c.Targets) == 0:
		return errors.New("a run needs a crowd, tokens and a target")
	case len(c.Places) < len(c.Crowd.Places()):
		return fmt.Errorf("the crowd needs %d places, %d are given", len(c.Crowd.Places()), len(c.Places))
	case c.Stuck < 0 || c.Stuck > c.Crowd.Present():
		return fmt.Errorf("%d stuck readers among %d participants", c.Stuck, c.Crowd.Present())
	case c.Deadline <= 0 || c.Warmup < 0 || c.Duration <= 0 || c.Grace < c.Deadline:
		return fmt.Errorf("deadline %v, warm-up %v, duration %v, grace %v: want times above 0, and a grace longer than the deadline", c.Deadline, c.Warmup, c.Duration, c.Grace)
	}
	orDefault(&c.RampTime, 30*time.Second+time.Duration(c.Crowd.Participants())*5*time.Millisecond)
	return nil
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Run lets the crowd join, act and leave, and gives what was measured: counts,
// histograms, the series, generator and server. What describes the run (scenario,
// store, machine, ...) is left to the caller.
func Run(ctx context.Context, config Config) (*report.Run, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l, err := newLoop(ctx, &config)
	if err != nil {
		return nil, err
	}
	defer l.poller.close()
	sampler := newSampler(&config, cancel)
	l.samples = sampler.requests
	go sampler.run(ctx)
	go l.plan.run()
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	err = <-ended
	l.plan.halt()
	close(sampler.requests)
	<-sampler.over
	<-l.plan.over
	if err != nil {
		return nil, err
	}
	r := &report.Run{}
	l.fill(r)
	sampler.fill(r)
	judge(r, l)
	r.Derive()
	return r, nil
}

func newLoop(ctx context.Context, config *Config) (*loop, error) {
	n := config.Crowd.Participants()
	epoch := time.Now()
	l := &loop{
		config: config, random: rand.New(rand.NewPCG(config.Seed, 0x6c6f6164)), epoch: epoch, clock: arrival.NewClock(epoch),
		clients: make([]client, n), receiver: arrival.Receiver{Buffer: make([]byte, receiveBuffer)}, why: make(map[string]int),
		ledger: newLedger(n, config.Deadline, config.Grace, config.Warmup, config.Duration),
		lag:    report.NewHistogram(), second: report.NewHistogram(), turn: report.NewHistogram(), joinTimes: report.NewHistogram(),
		placeIDs: config.Places,
	}
	files := 1
	for _, target := range config.Targets {
		e, err := resolve(ctx, target)
		if err != nil {
			return nil, err
		}
		from, err := sources((config.Crowd.Present()+len(config.Targets)-1)/len(config.Targets), e)
		if err != nil {
			return nil, err
		}
		if len(from) > len(l.sources) {
			l.sources = from
		}
		l.targets = append(l.targets, e)
		if e.secure {
			files = 3 // the connection, and a pair of sockets
		}
	}
	if err := CheckFiles(config.Crowd.Present() * files); err != nil {
		return nil, err
	}
	for i := range l.clients {
		if err := l.prepare(&l.clients[i], int32(i)); err != nil {
			return nil, err
		}
	}
	l.schedule()
	l.plan = newPlan(config.Crowd, config.Warmup, config.Map)
	var err error
	l.poller, err = newPoller()
	return l, err
}

// prepare makes a client.
func (l *loop) prepare(c *client, index int32) error {
	c.index, c.fd, c.self, c.thingIndex = index, -1, -1, -1
	c.mask = l.random.Uint32() | 1
	present, stuck := l.config.Crowd.Present(), l.config.Stuck
	c.stuck = int(index) < present && int(index)*stuck/present != (int(index)+1)*stuck/present
	l.ledger.viewers[index].ignored = c.stuck
	c.entry = l.config.Crowd.Entry(int(index))
	if c.entry.Place != nil {
		c.place = l.placeIDs[c.entry.Place.Index]
	}
	cell, err := hex.Cell(c.entry.Lat, c.entry.Lng, l.config.Map.CellResolution)
	if err != nil {
		return err
	}
	c.disk = len(hex.AppendDisk(nil, cell, c.entry.Ring))
	if c.entry.Joins > 0 {
		l.ledger.viewers[index].expectedFrom = int64(c.entry.Joins + joinPatience)
	} else {
		l.ledger.viewers[index].expectedFrom = math.MinInt64
	}
	return nil
}

// everySecond keeps the books of the seconds of the measured time.
func (l *loop) everySecond(now int64) {
	at := now - l.origin - int64(l.config.Warmup)
	if at < 0 {
		l.tellEverySecond(report.WarmingUp, time.Duration(at)+l.config.Warmup, l.config.Warmup)
		return
	}
	if !l.measuring && !l.afterward {
		l.measuring = true
		l.lastSecond = 0
		l.beganAt = [2]int64{l.received, l.sent}
		l.sample()
	}
	if l.afterward {
		l.tellEverySecond(report.Settling, time.Duration(at)-l.config.Duration, l.config.Grace)
		return
	}
	for second := at / int64(time.Second); l.lastSecond < second && time.Duration(l.lastSecond+1)*time.Second < l.config.Duration; {
		l.lastSecond++
		l.closeSecond()
		l.tell(report.Measuring, time.Duration(l.lastSecond)*time.Second, l.config.Duration)
	}
	if at >= int64(l.config.Duration) {
		l.closeSecond()
		l.measuring, l.afterward = false, true
		l.endedAt = [2]int64{l.received, l.sent}
		l.lastSecond = 0
	}
}

func (l *loop) closeSecond() {
	l.connectedAt = append(l.connectedAt, l.present)
	l.lagAt = append(l.lagAt, float64(l.second.Quantile(0.99))/1000)
	l.second.Reset()
	l.sample()
}

// sample asks for a reading of what server and generator used.
func (l *loop) sample() {
	select {
	case l.samples <- request{sample: true}:
	default: // the one before is not done: a meter that takes over a second
	}
}

func (l *loop) tellEverySecond(phase report.Phase, elapsed, length time.Duration) {
	if second := int64(elapsed / time.Second); second != l.lastSecond {
		l.lastSecond = second
		l.tell(phase, elapsed, length)
	}
}

// tell shows how the run goes.
func (l *loop) tell(phase report.Phase, elapsed, length time.Duration) {
	if l.config.Watch == nil {
		return
	}
	s := l.snapshot(phase, elapsed, length)
	s.Second.Connected = l.present
	if n := len(l.lagAt); n > 0 {
		s.Second.LagP99MS = l.lagAt[n-1]
	}
	select {
	case l.samples <- request{snapshot: s, second: -1}:
	default:
	}
}

// tellSettled shows each second once it is settled, the last ones at the end.
func (l *loop) tellSettled(now int64, end bool) {
	for l.config.Watch != nil && l.told < len(l.ledger.settled) {
		phase, elapsed, length := report.Measuring, time.Duration(now-l.origin)-l.config.Warmup, l.config.Duration
		if elapsed >= length {
			phase, elapsed, length = report.Settling, elapsed-length, l.config.Grace
		}
		s := l.snapshot(phase, elapsed, length)
		s.Second = l.ledger.settled[l.told]
		if l.told < len(l.connectedAt) {
			s.Second.Connected, s.Second.LagP99MS = l.connectedAt[l.told], l.lagAt[l.told]
		}
		r := request{snapshot: s, second: l.told}
		if end {
			l.samples <- r
		} else {
			select {
			case l.samples <- r:
			default: // soon
				return
			}
		}
		l.told++
	}
}

// snapshot gives the state of the run without the figures of a second.
func (l *loop) snapshot(phase report.Phase, elapsed, length time.Duration) *report.Snapshot {
	s := &report.Snapshot{Title: l.config.Title, Phase: phase, Elapsed: elapsed, Length: length, Participants: l.config.Crowd.Present(), Total: l.ledger.total}
	if l.ledger.dense {
		nearest := l.ledger.nearest
		s.TotalNearest = &nearest
	}
	switch {
	case phase == report.Measuring:
		s.Warning, _ = l.limited()
	case phase == report.Connecting && l.lastWhy != nil:
		s.Warning = fmt.Sprintf("%d of %d are not in yet: %s", l.missing, l.wanted, withoutPause(l.lastWhy))
	}
	return s
}

// fill writes what the loop found.
func (l *loop) fill(r *report.Run) {
	l.ledger.fill(r)
	r.Started = l.epoch.Add(time.Duration(l.origin) + l.config.Warmup)
	r.Seed = l.config.Seed
	r.Participants = l.config.Crowd.Present()
	r.DeadlineMS = float64(l.config.Deadline) / float64(time.Millisecond)
	r.WarmupS, r.DurationS = l.config.Warmup.Seconds(), l.config.Duration.Seconds()
	r.Histograms.LagUS = l.lag
	r.Cells, r.Shards = len(l.plan.seen.cells), len(l.plan.seen.shards)
	r.CellCrossings, r.ShardCrossings = l.plan.cells, l.plan.beyond
	r.BytesReceived, r.BytesSent = l.endedAt[0]-l.beganAt[0], l.endedAt[1]-l.beganAt[1]
	r.Reconnects = l.reconnects
	for i := range r.Series {
		if i < len(l.connectedAt) {
			r.Series[i].Connected, r.Series[i].LagP99MS = l.connectedAt[i], l.lagAt[i]
		}
	}
	if l.config.Stuck > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of the participants were connected, but read nothing and did nothing; they are in no other figure", l.config.Stuck))
	}
	if l.gaps > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d times a frame did not build on the ones before it: a fault of the server", l.gaps))
	}
	for why, n := range l.why {
		r.Notes = append(r.Notes, fmt.Sprintf("%d connections ended: %s", n, why))
	}
	q := l.joinTimes
	r.Notes = append(r.Notes, fmt.Sprintf("joining (connect to last baseline) took %.1f ms at the median, %.1f ms at the 99th percentile", float64(q.Quantile(0.5))/1000, float64(q.Quantile(0.99))/1000))
}

// limited says whether the generator is the limit rather than the server.
func (l *loop) limited() (why string, is bool) {
	const share = 5 // of D
	most := (l.config.Deadline / share).Microseconds()
	lag, turn := l.lag.Quantile(0.99), l.turn.Quantile(0.99)
	switch {
	case lag > most:
		return fmt.Sprintf("the 99th percentile of how late actions were sent is %.1f ms, over a fifth of the deadline", float64(lag)/1000), true
	case turn > most && l.unstamped > 0: // else the kernel says when things came
		return fmt.Sprintf("the 99th percentile of the time to read all sockets that were ready is %.1f ms, over a fifth of the deadline", float64(turn)/1000), true
	}
	return "", false
}

// judge says when the generator was the limit.
func judge(r *report.Run, l *loop) {
	const busiest = 0.9
	if busy := float64(l.busy) / float64(l.config.Duration); busy > busiest {
		r.GeneratorLimited = true
		r.GeneratorLimitedWhy = fmt.Sprintf("its one thread was busy for %.0f %% of the time", 100*busy)
	}
	if why, is := l.limited(); is {
		r.GeneratorLimited, r.GeneratorLimitedWhy = true, why
	}
	const disturbing = 0.05 // of the machine
	if others := r.Machine.OthersCPUS; others != nil && *others > disturbing*float64(r.Machine.Cores)*r.DurationS {
		r.Notes = append(r.Notes, fmt.Sprintf("other processes used %.1f of this machine's %d processors meanwhile: latencies and misses are theirs, too",
			min(*others/r.DurationS, float64(r.Machine.Cores)), r.Machine.Cores)) // a machine that stood still measured for longer
	}
}
