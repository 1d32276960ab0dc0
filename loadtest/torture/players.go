package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/loadtest/crowd"
	"github.com/starling-vr/starling/world"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

// Players are participants at work. Each acts at random instants (Poisson),
// whether or not its earlier actions are answered.
type Players struct {
	cluster  *Cluster
	recorder *check.Recorder
	rate     float64 // actions per second of each
	all      []*player

	ctx     context.Context
	stop    context.CancelFunc
	playing sync.WaitGroup

	Sent    atomic.Int64 // actions handed to clients
	Applied atomic.Int64
	Refused atomic.Int64 // for good
	Unknown atomic.Int64 // no outcome: the session was lost, or the player went away
	Skipped atomic.Int64 // not asked for: too many unanswered

	mu     sync.Mutex
	closes map[string]int // connections that ended, by the reason
}

// square is where they are: about a kilometre, a dozen shards.
const square = 1000 // metres

var centre = world.Geo{Lat: 25.0339, Lng: 121.5645}

// NewPlayers connects so many players, over all gateways, and returns when all
// are welcomed.
func NewPlayers(ctx context.Context, c *Cluster, n int, rate float64, seed uint64) (*Players, error) {
	p := &Players{cluster: c, recorder: check.NewRecorder(), rate: rate}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for i := range n {
		p.all = append(p.all, p.player(i, rand.New(rand.NewPCG(seed, uint64(i)))))
	}
	connected := make(chan error)
	slots := make(chan struct{}, 32) // handshakes at once
	for _, one := range p.all {
		go func() {
			slots <- struct{}{}
			err := one.connect(ctx)
			<-slots
			connected <- err
		}()
	}
	var failed error
	for range p.all {
		if err := <-connected; err != nil && failed == nil {
			failed = err
		}
	}
	if failed != nil {
		p.Close()
		return nil, fmt.Errorf("connecting players: %w", failed)
	}
	return p, nil
}

func (p *Players) player(i int, random *rand.Rand) *player {
	name := fmt.Sprintf("player-%d", i)
	return &player{
		players: p, name: name, random: random, record: p.recorder.Client(name), gateway: i,
		at: crowd.Offset(centre, (random.Float64()-0.5)*square, (random.Float64()-0.5)*square),
	}
}

// Play sets all to work.
func (p *Players) Play() {
	for _, one := range p.all {
		p.playing.Go(func() { one.play(p.ctx) })
	}
}

// Rest lets all stop acting, and returns when they have.
func (p *Players) Rest() {
	p.stop()
	p.playing.Wait()
}

// InFlight is how many actions have no outcome yet.
func (p *Players) InFlight() int {
	n := 0
	for _, one := range p.all {
		n += one.client.InFlight()
	}
	return n
}

// Settled says whether every player that is left has all its outcomes, and is
// connected.
func (p *Players) Settled() (ok bool, why string) {
	for _, one := range p.all {
		switch {
		case one.gone.Load():
		case one.client.Err() != nil:
			return false, fmt.Sprintf("%s was sent away: %v", one.name, one.client.Err())
		case !one.client.Connected():
			return false, one.name + " is not connected"
		case one.client.InFlight() > 0:
			return false, fmt.Sprintf("%s waits for %d outcomes", one.name, one.client.InFlight())
		}
	}
	return true, ""
}

// At gives those who are connected to a gateway.
func (p *Players) at(gateway *Process) []*player {
	var some []*player
	for _, one := range p.all {
		if one.client.Session().Gateway == gateway.Name {
			some = append(some, one)
		}
	}
	return some
}

// leave closes the clients of some without a word, as if their hosts had died.
func leave(some []*player) {
	for _, one := range some {
		one.gone.Store(true)
		_ = one.client.Close()
	}
	for _, one := range some {
		<-one.client.Done()
		one.record.Ended()
	}
}

// Histories ends the record: what everybody did and was told, and shows now.
func (p *Players) Histories() []check.History {
	for _, one := range p.all {
		if !one.gone.Load() {
			one.record.Final(one.client)
		}
	}
	return p.recorder.Histories()
}

// LongestWait is the longest time from asking for an action to its outcome,
// among those that were asked for between two instants (zero: any).
func (p *Players) LongestWait(from, to time.Time) time.Duration {
	longest := time.Duration(0)
	for _, one := range p.all {
		one.mu.Lock()
		for _, w := range one.waits {
			if !w.asked.Before(from) && (to.IsZero() || w.asked.Before(to)) {
				longest = max(longest, w.took)
			}
		}
		one.mu.Unlock()
	}
	return longest
}

// Close ends all clients.
func (p *Players) Close() {
	p.Rest()
	for _, one := range p.all {
		if one.client != nil {
			_ = one.client.Close()
			<-one.client.Done()
		}
	}
}

// Statistics adds up what the clients counted.
func (p *Players) statistics() starling.Stats {
	var sum starling.Stats
	for _, one := range p.all {
		s := one.client.Stats()
		sum.Connections += s.Connections
		sum.Sessions += s.Sessions
		sum.Sent += s.Sent
		sum.Refused += s.Refused
		sum.Gaps += s.Gaps
		sum.Frames += s.Frames
	}
	return sum
}

// connect opens the player's session at its gateway; later connections go to
// the next gateway each time.
func (one *player) connect(ctx context.Context) error {
	token, err := auth.Mint([]byte(authKey), one.name, []string{"spawn:any"}, time.Hour, time.Now())
	if err != nil {
		return err
	}
	options := starling.Options{
		Token: starling.StaticToken(token), Start: starling.Geographic(one.at.Lat, one.at.Lng, 0), Ring: 1,
		Name: "torture", URL: one.nextGateway, Reconnect: starling.Backoff{First: 50 * time.Millisecond, Most: time.Second},
	}
	options.OnOutcome = func(out *starlingv1.Outcome, _ uint64) {
		if starling.Retryable(out.Code) {
			one.refused.Store(out)
		}
	}
	options.OnDisconnect = one.players.disconnected
	one.record.Hook(&options)
	one.trace.hook(&options)
	one.client, err = starling.Dial(ctx, "", options)
	return err
}

func (one *player) nextGateway() string {
	gateways := one.players.cluster.Gateways
	url := gateways[one.gateway%len(gateways)].URL()
	one.gateway++
	return url
}

// count notes how an action ended.
func (p *Players) count(out starling.Outcome) {
	switch {
	case out.Err == nil:
		p.Applied.Add(1)
	case errors.As(out.Err, new(*starling.RefusedError)):
		p.Refused.Add(1)
	default:
		p.Unknown.Add(1)
	}
}

// disconnected counts why connections end.
func (p *Players) disconnected(err error) {
	reason := "broken"
	var closed *starling.CloseError
	if errors.As(err, &closed) {
		reason = closed.Code.String()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closes == nil {
		p.closes = make(map[string]int)
	}
	p.closes[reason]++
}

// Closes gives how many connections ended, by the reason.
func (p *Players) Closes() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.closes)
}

// shards counts the players by the shards in which they see themselves.
func (p *Players) shards() map[world.ShardID]int {
	counts := make(map[world.ShardID]int)
	for _, one := range p.all {
		if me, ok := one.client.Entity(one.client.Session().Avatar); ok {
			counts[p.cluster.Map.Shard(world.PlaceID(me.Place), world.Cell(me.Cell))]++
		}
	}
	return counts
}
