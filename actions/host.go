package actions

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/world"
)

// Host runs shards in this process. It implements Owner.
type Host struct {
	options   Options
	network   Network
	appender  world.Appender // options.Log, or one before it
	keys      *invoke.Keys
	functions map[string]*invoke.Function
	own       ownWork
	metrics   *metrics
	edges     sync.Map // node id to Edge
	shards    sync.Map // world.ShardID to *served
	opening   sync.Mutex
	random    struct {
		sync.Mutex
		source rand.Source
	}
	ctx     context.Context
	cancel  context.CancelFunc
	working sync.WaitGroup
	closed  bool // under opening
}

var _ Owner = (*Host)(nil)

// NewHost deploys the functions and starts. The error may be an
// *invoke.NotAdmittedError.
func NewHost(options Options) (*Host, error) {
	if err := options.withDefaults(); err != nil {
		return nil, err
	}
	h := &Host{options: options, network: options.Network, functions: make(map[string]*invoke.Function)}
	if h.network == nil {
		h.network = LocalNetwork{h}
	}
	h.appender = appenderOf(options.Log, options.LogTimeout)
	h.random.source = options.Random
	if h.random.source == nil {
		h.random.source = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	h.metrics = newMetrics(h, options.Metrics)
	h.keys = options.Scheduler.Keys("shards", invoke.KeyOptions{AfterRun: afterRun})
	if err := h.deploy(); err != nil {
		return nil, err
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.working.Go(h.tickAll)
	return h, nil
}

// ownWork is what a Host runs besides functions.
type ownWork struct{ shards, reads, refusals *invoke.Function }

func (h *Host) deploy() error {
	scheduler := h.options.Scheduler
	for _, spec := range h.options.Registry.specs(h.keys, scheduler.Workers()) {
		f, err := scheduler.Deploy(spec)
		if err != nil {
			return err
		}
		switch spec.Name {
		case ShardWork:
			h.own.shards = f
		case CellReads:
			h.own.reads = f
		case Refusals:
			h.own.refusals = f
		default:
			h.functions[spec.Name] = f
		}
	}
	return nil
}

func (h *Host) newID() uint64 {
	h.random.Lock()
	defer h.random.Unlock()
	for {
		if id := h.random.source.Uint64(); id != 0 {
			return id
		}
	}
}

// knows keeps the way back to a gateway.
func (h *Host) knows(from Edge) string {
	node := from.Node()
	if known, ok := h.edges.Load(node); !ok || known != from {
		h.edges.Store(node, from)
	}
	return node
}

// Act takes an action.
func (h *Host) Act(from Edge, act *clusterv1.RoutedAct) {
	now := h.options.Clock()
	w := h.work(kindAct)
	w.act = shard.Act{
		Gateway: h.knows(from), Session: world.SessionID(act.GetSession()), Act: act.GetAct(),
		Arrived: now.Add(-time.Duration(act.GetAgeUs()) * time.Microsecond),
	}
	if d := act.GetDeadlineUs(); d != 0 {
		w.act.Deadline = w.act.Arrived.Add(time.Duration(d) * time.Microsecond)
	}
	h.submit(world.ShardOf(act.GetShard()), w)
}

// Control takes a change of sessions.
func (h *Host) Control(from Edge, control *clusterv1.Control) {
	w := h.work(kindControl)
	w.gateway, w.control = h.knows(from), control
	h.submit(world.ShardOf(control.GetShard()), w)
}

// Renew keeps sessions present.
func (h *Host) Renew(from Edge, renew *clusterv1.Renew) {
	w := h.work(kindRenew)
	w.gateway, w.renew = h.knows(from), renew
	h.submit(world.ShardOf(renew.GetShard()), w)
}

// ReadCell answers with a cell's committed image.
func (h *Host) ReadCell(from Edge, read *clusterv1.ReadCell) {
	w := h.work(kindRead)
	w.gateway, w.read = h.knows(from), read
	h.submit(world.ShardOf(read.GetShard()), w)
}

// Parcel takes what another shard sent.
func (h *Host) Parcel(envelope *clusterv1.ParcelEnvelope) {
	w := h.work(kindParcel)
	w.parcel = envelope
	h.submit(world.ShardOf(envelope.GetOutgoing().GetTarget()), w)
}

// ParcelAck takes the acknowledgement of another shard.
func (h *Host) ParcelAck(ack *clusterv1.ParcelAck) {
	w := h.work(kindAck)
	w.ack = ack
	h.submit(world.ShardOf(ack.GetSource()), w)
}

// Release hands a shard over: see Owner.
func (h *Host) Release(id world.ShardID, done func()) {
	s := h.find(id)
	if s == nil || !s.release(done) {
		done()
	}
}

func (h *Host) find(id world.ShardID) *served {
	if s, ok := h.shards.Load(id); ok {
		return s.(*served)
	}
	return nil
}

// submit brings work to a shard, which is loaded if it must be.
func (h *Host) submit(id world.ShardID, w *work) {
	s := h.find(id)
	if s == nil {
		opened, taken := h.open(id, w)
		switch {
		case taken:
			return
		case opened == nil:
			h.notMine(id, w, false)
			return
		}
		s = opened
	}
	s.take(w)
}

// open begins to serve a shard, if it is this process's. It then takes first (if
// not nil) before anything is loaded: a place that was never made is not served
// for long.
func (h *Host) open(id world.ShardID, first *work) (s *served, taken bool) {
	if !validShard(id, h.options.Map) || h.options.Assignment.Owner(id) != h.options.Node {
		return nil, false
	}
	h.opening.Lock()
	defer h.opening.Unlock()
	if s := h.find(id); s != nil || h.closed {
		return s, false
	}
	s = newServed(h, id)
	if first != nil {
		s.waiting = append(s.waiting, first)
	}
	h.shards.Store(id, s)
	h.working.Go(s.serve)
	return s, first != nil
}

// Serve loads a shard if it is this process's, without anyone having asked for
// it: what is under way from it to other shards goes on.
func (h *Host) Serve(id world.ShardID) {
	if h.find(id) == nil {
		h.open(id, nil)
	}
}

// Recover serves the shards of this process that were not released in order:
// their owner was lost, perhaps with parcels under way. While the store does not
// answer it tries again; the error is that of ctx.
func (h *Host) Recover(ctx context.Context) error {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		err := h.recoverOnce(ctx)
		if err == nil {
			return nil
		}
		h.options.Logger.Warn("cannot look for shards without owner yet", "error", err)
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-h.ctx.Done():
			timer.Stop()
			return ErrClosed
		}
	}
}

func (h *Host) recoverOnce(ctx context.Context) error {
	var failed error // of the last one that could not be looked at; the others do not wait for it
	err := h.options.Log.Shards(ctx, func(id world.ShardID) error {
		if h.options.Assignment.Owner(id) != h.options.Node || h.find(id) != nil {
			return nil
		}
		holder, err := h.options.Log.Tail(ctx, id)
		if err != nil {
			failed = err
		} else if holder.Owner != "" {
			h.Serve(id)
		}
		return nil
	})
	return errors.Join(err, failed)
}

// Shards tells what this process serves, for operators.
func (h *Host) Shards() []ShardStatus {
	var all []ShardStatus
	h.shards.Range(func(_, s any) bool {
		all = append(all, s.(*served).status())
		return true
	})
	return all
}

// ShardStatus is what operators see of a shard.
type ShardStatus struct {
	Shard        world.ShardID
	State        string // loading, serving, releasing
	Epoch        uint32
	Sequence     uint64
	Participants int
	Entities     int
	Outbox       int    // parcels not yet acknowledged
	Actions      uint64 // since it was loaded
	Misses       uint64 // actions that ended after their deadline, since it was loaded
	Since        time.Time
}

// ErrClosed says that the Host was closed.
var ErrClosed = errors.New("the host is closed")

// Close releases all shards, in parallel, and returns when they are, or when ctx
// ends.
func (h *Host) Close(ctx context.Context) error {
	h.opening.Lock()
	h.closed = true
	h.opening.Unlock()
	h.shards.Range(func(_, s any) bool {
		s.(*served).release(func() {})
		return true
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.shards.Range(func(_, s any) bool {
			<-s.(*served).gone
			return true
		})
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.cancel()
	h.working.Wait()
	<-done
	return err
}

// tickAll looks after all shards.
func (h *Host) tickAll() {
	ticker := time.NewTicker(h.options.TickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		now := h.options.Clock()
		h.shards.Range(func(_, s any) bool {
			s.(*served).tickSoon(now)
			return true
		})
	}
}

// validShard refuses ids that no cell or place can have.
func validShard(id world.ShardID, m world.ShardMap) bool {
	if id.IsPlace() {
		return id.Cell == 0
	}
	return id.IsRegister() || validParent(id.Cell, m.BaseResolution)
}
