package check_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/internal/servertest"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/embedded"
	"github.com/starling-vr/starling/world/hex"
)

const key = "a key of thirty-two bytes or more"

// lines are the connections of a client, to be cut.
type lines struct {
	mu   sync.Mutex
	last net.Conn
}

func (l *lines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = conn
	return conn, err
}

func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.Close()
}

// walker is a client that does things at random.
type walker struct {
	*starling.Client
	lines
	history *check.Client
	random  *rand.Rand
	spawned []uint64
	held    uint64
}

// TestRealWorld lets clients act in a real process, whose shards are small so
// that many actions cross them, with connections cut at random, and checks what
// is left of it.
func TestRealWorld(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	directory := t.TempDir()
	settings, err := server.Load(config.Sources{Set: append(servertest.Patient(),
		"listen=127.0.0.1:0", "auth.key="+key, "store.kind=embedded", "store.directory="+directory, "gateway.drain_time=200ms",
		"gateway.message_rate=10000", "gateway.message_burst=10000",
		"owner.retain_logs=true", "owner.speed=100000", "owner.speed_burst=100000", "owner.reach=100000", "world.shard_resolution=9",
	)})
	if err != nil {
		t.Fatal(err)
	}
	process, err := server.Start(t.Context(), settings, server.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	recorder := check.NewRecorder()
	var walkers []*walker
	for i := range 12 {
		walkers = append(walkers, dialWalker(t, process.Address(), recorder.Client(fmt.Sprintf("walker-%d", i)), rand.New(rand.NewPCG(seed, uint64(i)))))
	}
	var walking sync.WaitGroup
	for _, w := range walkers {
		walking.Go(func() { w.walk(t, 80) })
	}
	walking.Wait()
	awaitQuiet(t, walkers)
	for _, w := range walkers {
		w.history.Final(w.Client)
		w.Close()
		<-w.Done()
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
	checkRealWorld(t, directory, recorder)
}

func dialWalker(t *testing.T, address string, history *check.Client, random *rand.Rand) *walker {
	w := &walker{history: history, random: random}
	token, err := auth.Mint([]byte(key), fmt.Sprint("participant-", random.Uint64()), server.DevScopes, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	options := starling.Options{
		Token: starling.StaticToken(token), Start: w.somewhere(), Ring: 1, Dialer: &websocket.Dialer{NetDialContext: w.dial},
		Reconnect: starling.Backoff{First: 10 * time.Millisecond, Most: 100 * time.Millisecond}, PingInterval: 500 * time.Millisecond,
	}
	history.Hook(&options)
	w.Client, err = starling.Dial(t.Context(), "ws://"+address+server.Endpoint, options)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// somewhere is within about 600 m.
func (w *walker) somewhere() *starlingv1.Position {
	return starling.Geographic(25.03+w.random.Float64()*0.006, 121.56+w.random.Float64()*0.006, 0)
}

func (w *walker) walk(t *testing.T, actions int) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for range actions {
		if w.random.IntN(10) == 0 {
			w.burst(t)
		}
		outcome, err := w.act(ctx)
		var refused *starling.RefusedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%v: %+v", err, outcome)
			return
		}
	}
}

// burst sends several actions at once and cuts the connection under them.
func (w *walker) burst(t *testing.T) {
	var pending sync.WaitGroup
	cut := w.random.IntN(8)
	for i := range 8 {
		if i == cut {
			w.cut()
		}
		act := starling.SpeakAct(fmt.Sprint("burst ", i))
		if i%2 == 0 {
			act = starling.MoveAct(&starlingv1.Move{Pose: &starlingv1.Pose{Position: w.somewhere()}})
		}
		pending.Add(1)
		err := w.Do(act, func(o starling.Outcome) {
			defer pending.Done()
			if !starling.Applied(o.Code) {
				t.Errorf("a burst's action ended with %+v", o)
			}
		})
		if err != nil {
			t.Error(err)
			pending.Done()
		}
	}
	pending.Wait()
}

func (w *walker) act(ctx context.Context) (starling.Outcome, error) {
	switch w.random.IntN(10) {
	case 0:
		return w.Speak(ctx, "hello")
	case 1:
		outcome, err := w.Spawn(ctx, "ball", &starlingv1.Pose{Position: w.somewhere()}, nil)
		if err == nil {
			w.spawned = append(w.spawned, outcome.Entity)
		}
		return outcome, err
	case 2:
		return w.Touch(ctx, w.anyone())
	case 3:
		outcome, err := w.Grab(ctx, w.anyone())
		if err == nil {
			w.held = outcome.Entity
		}
		return outcome, err
	case 4:
		return w.Release(ctx, w.held, nil)
	case 5:
		return w.SetAttribute(ctx, 0, "mood", &starlingv1.Value{Is: &starlingv1.Value_Integer{Integer: w.random.Int64N(100)}})
	case 6:
		if len(w.spawned) > 0 {
			return w.Despawn(ctx, w.spawned[w.random.IntN(len(w.spawned))])
		}
	}
	return w.Move(ctx, &starlingv1.Pose{Position: w.somewhere(), Velocity: &starlingv1.Vector{East: 1}})
}

func (w *walker) anyone() uint64 {
	var ids []uint64
	w.Entities(func(e starling.Entity) bool {
		ids = append(ids, e.ID)
		return true
	})
	if len(ids) == 0 {
		return 1
	}
	slices.Sort(ids)
	return ids[w.random.IntN(len(ids))]
}

// awaitQuiet waits until no view has changed for two seconds.
func awaitQuiet(t *testing.T, walkers []*walker) {
	deadline := time.After(5 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var before []int
	for still := 0; still < 20; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the world does not come to rest")
		}
		var now []int
		for _, w := range walkers {
			frames := w.Stats().Frames
			if !w.Connected() {
				frames = -1
			}
			now = append(now, frames)
		}
		if slices.Equal(now, before) && !slices.Contains(now, -1) {
			still++
		} else {
			still = 0
		}
		before = now
	}
}

func checkRealWorld(t *testing.T, directory string, recorder *check.Recorder) {
	log, err := embedded.Open(embedded.Config{Directory: directory, Durability: world.DurabilityMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	in := check.Input{Clients: recorder.Histories(), Quiet: true, Disk: hex.Disk, Map: world.ShardMap{Version: 1, CellResolution: 10, BaseResolution: 9}}
	if in.Shards, err = check.ReadShards(context.Background(), log); err != nil {
		t.Fatal(err)
	}
	entries, told, repeated := 0, 0, 0
	for _, s := range in.Shards {
		entries += len(s.Entries)
	}
	for _, h := range in.Clients {
		for _, e := range h.Events {
			if e.Kind == check.Told {
				told++
				if e.Outcome.Repeated {
					repeated++
				}
			}
		}
	}
	t.Logf("%d shards, %d batches, %d outcomes told, %d of them repeated", len(in.Shards), entries, told, repeated)
	found := check.Run(in)
	for i, v := range found {
		if i == 30 {
			t.Errorf("and %d more", len(found)-i)
			break
		}
		t.Error(v)
	}
	if !slices.ContainsFunc(in.Shards, func(s check.Shard) bool {
		return slices.ContainsFunc(s.Entries, func(e check.Entry) bool { return drop(&e.Batch.Outcomes) })
	}) || len(check.Run(in)) == 0 {
		t.Error("an outcome taken out of the log was not missed")
	}
}
