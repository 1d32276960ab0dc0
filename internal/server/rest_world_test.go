package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/internal/linkproxy"
	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/internal/servertest"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/redis"
)

// moment is when a fault strikes.
type moment int

const (
	// roundGoesOut: pollers rest, and a round's batches are sealed and about to be
	// written.
	roundGoesOut moment = iota
	// roundIsDue: pollers rest, what sockets brought was collected and ran, and the
	// batches are not sealed.
	roundIsDue
)

// watchedFeed is a gateway of which it is known whether its pollers rest.
type watchedFeed struct {
	redis.Feed
	resting atomic.Bool
	strikes [2]atomic.Pointer[func()] // by moment; once
}

func (f *watchedFeed) Rest(on bool) {
	f.Feed.Rest(on)
	f.resting.Store(on)
	if on {
		f.strike(roundGoesOut)
	}
}

func (f *watchedFeed) Collect() {
	f.Feed.Collect()
	if f.resting.Load() {
		f.strike(roundIsDue)
	}
}

func (f *watchedFeed) strike(m moment) {
	if do := f.strikes[m].Swap(nil); do != nil {
		(*do)()
	}
}

// at has something done at the next such moment; struck returns when it is.
func (f *watchedFeed) at(t *testing.T, m moment, do func() error) (struck func()) {
	done := make(chan error, 1)
	strike := func() { done <- do() }
	f.strikes[m].Store(&strike)
	return func() {
		t.Helper()
		await(t, done, func(err error) bool {
			if err != nil {
				t.Error(err)
			}
			return true
		})
	}
}

// restingWorld is a process whose pollers rest while its players act, on a Redis
// behind a link that may fail.
type restingWorld struct {
	*server.Server
	t        *testing.T
	redis    *redisproc.Server
	link     *linkproxy.Proxy
	feed     *watchedFeed
	store    redis.Config
	recorder *check.Recorder
	players  []*player
	playing  sync.WaitGroup
	options  func() starling.Options // of a player; nil: the zero value
}

// player moves to and fro as fast as it is answered.
type player struct {
	*starling.Client
	name    string
	applied atomic.Int64
}

// roundsApart is so long that rounds follow each other on a slow machine, too.
const roundsApart = 50 * time.Millisecond

func newRestingWorld(t *testing.T) *restingWorld {
	w := &restingWorld{t: t, redis: redistest.Start(t, redisproc.Options{AppendOnly: true})}
	var err error
	if w.link, err = linkproxy.New(w.redis.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.link.Close)
	w.begin(redis.Config{Config: redisnodes.Config{Addresses: []string{w.redis.Address()}}, Durability: world.DurabilityDisk},
		"store.redis.addresses="+w.link.Address())
	return w
}

func (w *restingWorld) begin(store redis.Config, set ...string) {
	w.store, w.recorder = store, check.NewRecorder()
	w.t.Cleanup(w.playing.Wait)
	apart := roundsApart.String()
	w.Server = start(w.t, append(append(servertest.Patient(),
		"store.kind=redis", "store.durability="+string(store.Durability), "store.redis.interval="+apart, "store.redis.max_interval="+apart,
		"store.redis.timeout=500ms", "owner.retain_logs=true", "owner.speed=100000", "owner.speed_burst=100000",
		"region.directory.death=5m", "region.directory.margin=30s", "region.directory.forget=1h", "gateway.message_rate=10000", "gateway.message_burst=10000"), set...)...)
	w.CollectFrom(func(gateway redis.Feed) redis.Feed {
		w.feed = &watchedFeed{Feed: gateway}
		return w.feed
	})
}

// join brings players in, and waits until pollers do not rest any more.
func (w *restingWorld) join(players int) {
	w.t.Helper()
	for range players {
		name := fmt.Sprintf("player-%d", len(w.players))
		options := starling.Options{}
		if w.options != nil {
			options = w.options()
		}
		w.recorder.Client(name).Hook(&options)
		w.players = append(w.players, &player{name: name, Client: join(w.t, w.Server, name, options)})
	}
	w.awake()
}

func (w *restingWorld) awake() {
	w.t.Helper()
	eventually(w.t, "pollers to look after themselves", func() bool { return !w.feed.resting.Load() })
}

// play sets the players to work until the function is called, which returns when
// they have all their outcomes.
func (w *restingWorld) play() (rest func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var stop atomic.Bool
	for _, p := range w.players {
		w.playing.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if _, err := p.Move(ctx, poseAt(n%2)); err != nil {
					w.t.Errorf("%s: %v", p.name, err)
					return
				}
				p.applied.Add(1)
			}
		})
	}
	return func() {
		stop.Store(true)
		w.playing.Wait()
		cancel()
	}
}

func poseAt(n int) *starlingv1.Pose {
	return &starlingv1.Pose{Position: starling.Geographic(25.0339+float64(n)*1e-5, 121.5645, 0)}
}

// goesOn waits until the actions of all players are committed again, and pollers
// rest again.
func (w *restingWorld) goesOn() {
	w.t.Helper()
	for _, p := range w.players {
		from := p.applied.Load()
		eventually(w.t, "all players to go on", func() bool { return p.applied.Load() > from+2 })
	}
	eventually(w.t, "pollers to rest", w.feed.resting.Load)
}

// serves finds sockets served: one that was open before, a new one, and one that
// closes.
func (w *restingWorld) serves(before *line) {
	w.t.Helper()
	before.answers(w.t)
	now := w.open()
	now.answers(w.t)
	now.closes(w.t)
	before.closes(w.t)
}

// line is a connection without a session.
type line struct {
	ws    *websocket.Conn
	pongs chan string
	ended chan error
}

func (w *restingWorld) open() *line {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	dialer := websocket.Dialer{Subprotocols: []string{conn.ProtoSubprotocol}}
	ws, _, err := dialer.DialContext(ctx, "ws://"+w.Address()+server.Endpoint, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = ws.Close() })
	l := &line{ws: ws, pongs: make(chan string, 1), ended: make(chan error, 1)}
	ws.SetPongHandler(func(text string) error {
		l.pongs <- text
		return nil
	})
	go func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				l.ended <- err
				return
			}
		}
	}()
	return l
}

func (l *line) answers(t *testing.T) {
	t.Helper()
	if err := l.ws.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	await(t, l.pongs, func(text string) bool { return text == "there?" })
}

// closes sees the close frame answered.
func (l *line) closes(t *testing.T) {
	t.Helper()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := l.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	await(t, l.ended, func(err error) bool {
		if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("a close was answered by %v", err)
		}
		return true
	})
}

// end stops the process and holds what players were told against the logs.
func (w *restingWorld) end() {
	w.t.Helper()
	for _, p := range w.players {
		_ = p.Close()
		<-p.Done()
	}
	stop(w.t, w.Server)
	log, err := redis.Open(redistest.Context(w.t), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	shards, err := check.ReadShards(redistest.Context(w.t), log)
	if err != nil {
		w.t.Fatal(err)
	}
	committed := 0
	for _, shard := range shards {
		for _, entry := range shard.Entries {
			committed += len(entry.Batch.Outcomes)
		}
	}
	told := 0
	for _, p := range w.players {
		told += int(p.applied.Load())
	}
	if committed < told {
		w.t.Errorf("%d outcomes are in the logs, %d were told", committed, told)
	}
	if found := check.Run(check.Input{Shards: shards, Clients: w.recorder.Histories(), Map: w.shards()}); len(found) > 0 {
		var text strings.Builder
		for _, v := range found {
			fmt.Fprintln(&text, v)
		}
		w.t.Error(text.String())
	}
}

func (w *restingWorld) shards() world.ShardMap {
	return world.ShardMap{Version: 1, CellResolution: 10, BaseResolution: 7}
}

// eventually waits for a condition. The time for which this process itself stood still
// does not count.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const every = 2 * time.Millisecond
	look := time.NewTicker(every)
	defer look.Stop()
	for left := time.Minute; !ok(); left -= every {
		if left <= 0 {
			t.Fatalf("waited in vain for %s", what)
		}
		<-look.C
	}
}
