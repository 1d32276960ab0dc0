package crowd_test

import (
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/loadtest/crowd"
	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/world"
)

// A dense crowd, measured: everyone in one cell, against a server process of its
// own. What counts is what those see who have the actor among their ten nearest,
// by where all are in truth: they are expected to see the action within D.
//
//	go test -run '^$' -bench Dense -benchtime 1x ./loadtest/crowd -dense 2000 -dense-rate 0.5 -seconds 10 -dense-set gateway.budget_entities=500
var (
	dense     = flag.Int("dense", 2000, "participants of BenchmarkDense")
	denseRate = flag.Float64("dense-rate", 0.5, "actions per second of each")
	denseSet  = flag.String("dense-set", "", "settings of the server, separated by commas")
)

const (
	nearest   = 10
	remember  = 64 // actions of each participant
	viewedFar = 20 // participants whose view of everybody is watched
)

// lawn is the middle of a cell, and the crowd on it.
var lawn = crowd.Area{Centre: world.Geo{Lat: 25.05975, Lng: 121.484788}, Clusters: 1, Sigma: 22, Stay: true}

const denseD = 15 * time.Millisecond

// denseRun is one run's books.
type denseRun struct {
	b        *testing.B
	url      string
	people   []*densePerson
	byAvatar map[uint64]int // read only once all are there
	running  atomic.Bool
	measured atomic.Bool

	actions, refused     atomic.Int64
	states, bytes        atomic.Int64 // told to all
	expected, seen, late atomic.Int64 // of the nearest
	mu                   sync.Mutex
	near, gaps, outcomes *hdrhistogram.Histogram // microseconds, milliseconds, microseconds
}

type densePerson struct {
	ws     *websocket.Conn
	avatar uint64
	spot   atomic.Uint64 // metres east and north of the lawn's middle, as two float32
	reach  atomic.Uint32 // square of the distance of the tenth nearest, a float32
	told   chan wire.Result
	doing  [remember]atomic.Pointer[denseAction]
	last   []time.Time // by participant: when something of it came; of a few only
}

type denseAction struct {
	number uint64
	due    time.Time
	near   []int32
	seen   []atomic.Bool
}

func (p *densePerson) move(at world.Geo) {
	const degree = 111195.08
	east := float32((at.Lng - lawn.Centre.Lng) * degree * math.Cos(lawn.Centre.Lat*math.Pi/180))
	north := float32((at.Lat - lawn.Centre.Lat) * degree)
	p.spot.Store(uint64(math.Float32bits(east))<<32 | uint64(math.Float32bits(north)))
}

func (p *densePerson) at() (east, north float32) {
	v := p.spot.Load()
	return math.Float32frombits(uint32(v >> 32)), math.Float32frombits(uint32(v))
}

// survey finds, for each, how far the tenth nearest is.
func (r *denseRun) survey() {
	east, north := make([]float32, len(r.people)), make([]float32, len(r.people))
	for i, p := range r.people {
		east[i], north[i] = p.at()
	}
	best := make([]float32, 0, nearest+1) // squares, ascending
	for i, p := range r.people {
		best = best[:0]
		for j := range r.people {
			d := (east[j]-east[i])*(east[j]-east[i]) + (north[j]-north[i])*(north[j]-north[i])
			if j == i || len(best) == nearest && d >= best[nearest-1] {
				continue
			}
			at, _ := slices.BinarySearch(best, d)
			best = slices.Insert(best, at, d)
			best = best[:min(len(best), nearest)]
		}
		p.reach.Store(math.Float32bits(best[len(best)-1]))
	}
}

// around gives those who have participant i among their nearest.
func (r *denseRun) around(i int) (out []int32) {
	x, y := r.people[i].at()
	for j, p := range r.people {
		east, north := p.at()
		if j != i && (east-x)*(east-x)+(north-y)*(north-y) <= math.Float32frombits(p.reach.Load()) {
			out = append(out, int32(j))
		}
	}
	return out
}

func BenchmarkDense(b *testing.B) {
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	address := freeAddress(b)
	args := []string{"serve", "--listen", address}
	settings := []string{"store.kind=embedded", "store.durability=memory", "store.directory=" + b.TempDir(), "auth.key=" + benchKey, "log.level=warn", "region.id=bench"}
	if *denseSet != "" {
		settings = append(settings, strings.Split(*denseSet, ",")...)
	}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	awaitReady(b, address)
	r := &denseRun{b: b, url: "ws://" + address + server.Endpoint, byAvatar: make(map[uint64]int),
		near: hdrhistogram.New(1, 60_000_000, 3), gaps: hdrhistogram.New(1, 600_000, 3), outcomes: hdrhistogram.New(1, 60_000_000, 3)}
	var wait sync.WaitGroup
	began := time.Now()
	r.join(*dense, &wait)
	b.ReportMetric(time.Since(began).Seconds(), "join-s")
	r.survey()
	r.running.Store(true)
	go func() {
		for r.running.Load() {
			<-time.After(500 * time.Millisecond)
			r.survey()
		}
	}()
	for i, p := range r.people {
		wait.Go(func() { r.act(i, p) })
	}
	<-time.After(6 * time.Second)
	before, scraped := cpuSeconds(b, []*os.Process{cmd.Process}), scrape(b, address)
	r.measured.Store(true)
	<-time.After(time.Duration(*seconds) * time.Second)
	r.measured.Store(false)
	used := cpuSeconds(b, []*os.Process{cmd.Process}) - before
	after := scrape(b, address)
	r.running.Store(false)
	<-time.After(time.Second)
	for _, p := range r.people {
		_ = p.ws.Close()
	}
	wait.Wait()
	of := func(name string) float64 { return after[name] - scraped[name] }
	s := float64(*seconds)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(r.actions.Load())/s, "actions/s")
	b.ReportMetric(float64(r.refused.Load())/s, "refused/s")
	b.ReportMetric(100*(1-float64(r.seen.Load()-r.late.Load())/float64(max(1, r.expected.Load()))), "%near-missed")
	b.ReportMetric(100*(1-float64(r.seen.Load())/float64(max(1, r.expected.Load()))), "%near-unseen")
	b.ReportMetric(float64(r.near.ValueAtQuantile(50))/1000, "near-p50-ms")
	b.ReportMetric(float64(r.near.ValueAtQuantile(99))/1000, "near-p99-ms")
	b.ReportMetric(float64(r.outcomes.ValueAtQuantile(50))/1000, "outcome-p50-ms")
	b.ReportMetric(float64(r.gaps.ValueAtQuantile(50)), "far-gap-p50-ms")
	b.ReportMetric(float64(r.gaps.ValueAtQuantile(99)), "far-gap-p99-ms")
	b.ReportMetric(float64(r.states.Load())/s/float64(*dense), "steps/s/participant")
	b.ReportMetric(float64(r.bytes.Load())/s/float64(*dense)/1024, "KiB/s/participant")
	b.ReportMetric(of("starling_gateway_flushes_total")/s/float64(*dense), "writes/s/participant")
	b.ReportMetric(of("starling_gateway_near_deliveries_total")/s/float64(*dense), "near/s/participant")
	b.ReportMetric(after["starling_gateway_participants_over_budget"], "over-budget")
	b.ReportMetric(used*1e6/float64(max(1, r.actions.Load())), "cpu-us/action")
	b.ReportMetric(used/s, "cores")
}

// join lets all come, a few at once; they read from then on.
func (r *denseRun) join(n int, wait *sync.WaitGroup) {
	r.people = make([]*densePerson, n)
	var joining sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		joining.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				p := r.enter(i)
				if p == nil {
					return
				}
				if i < viewedFar {
					p.last = make([]time.Time, n)
				}
				r.people[i] = p
				r.mu.Lock()
				r.byAvatar[p.avatar] = i
				r.mu.Unlock()
				wait.Go(func() { r.read(i, p) })
			}
		})
	}
	joining.Wait()
	if r.b.Failed() {
		r.b.FailNow()
	}
}

func (r *denseRun) enter(i int) *densePerson {
	walker := crowd.NewWalker(lawn, rand.New(rand.NewPCG(7, uint64(i))))
	p, err := r.welcome(i, walker.At)
	if err != nil {
		r.b.Error(err)
		return nil
	}
	p.move(walker.At)
	return p
}

func (r *denseRun) welcome(i int, at world.Geo) (*densePerson, error) {
	token, err := auth.Mint([]byte(benchKey), fmt.Sprintf("dense-%d", i), server.DevScopes, time.Hour, time.Now())
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{Subprotocols: []string{"starling.v1.proto"}, ReadBufferSize: 4096}
	ws, response, err := dialer.Dial(r.url, nil)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	p := &densePerson{ws: ws, told: make(chan wire.Result, 64)}
	r.send(p, &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: &starlingv1.Hello{Token: token, Ring: 1,
		Start: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: at.Lat, Longitude: at.Lng}}}}}})
	for p.avatar == 0 {
		_, payload, err := ws.ReadMessage()
		if err != nil {
			return nil, err
		}
		var m starlingv1.ServerMessage
		if err := m.UnmarshalVT(payload); err != nil {
			return nil, err
		}
		p.avatar = m.GetWelcome().GetAvatar()
	}
	return p, nil
}

func (r *denseRun) send(p *densePerson, m *starlingv1.ClientMessage) {
	data, err := m.MarshalVT()
	if err == nil {
		err = p.ws.WriteMessage(websocket.BinaryMessage, data)
	}
	if err != nil && r.running.Load() {
		r.b.Error(err)
	}
}

// act walks, and says so, in an open loop as long as answers come.
func (r *denseRun) act(i int, p *densePerson) {
	random := rand.New(rand.NewPCG(7, uint64(i)))
	walker := crowd.NewWalker(lawn, random)
	number := uint64(1)
	last := time.Now()
	for due := last; r.running.Load(); {
		due = due.Add(time.Duration(random.ExpFloat64() / *denseRate * float64(time.Second)))
		<-time.After(time.Until(due))
		walker.Step(due.Sub(last).Seconds())
		last = due
		p.move(walker.At)
		a := &denseAction{number: number, due: due, near: r.around(i)}
		a.seen = make([]atomic.Bool, len(a.near))
		counts := r.measured.Load()
		if counts {
			p.doing[number%remember].Store(a)
		}
		r.send(p, &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: &starlingv1.Act{Number: number,
			Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: &starlingv1.Pose{
				Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: walker.At.Lat, Longitude: walker.At.Lng}}},
				Velocity: &starlingv1.Vector{East: float32(walker.East), North: float32(walker.North)}}}}}}})
		out, ok := <-p.told
		if !ok {
			return
		}
		took := time.Since(due)
		if out.Code >= 200 {
			p.doing[number%remember].Store(nil)
			if counts {
				r.refused.Add(1)
			}
			continue
		}
		number++
		if counts {
			r.actions.Add(1)
			r.expected.Add(int64(len(a.near)))
			r.mu.Lock()
			_ = r.outcomes.RecordValue(took.Microseconds())
			r.mu.Unlock()
		}
	}
}

func (r *denseRun) read(i int, p *densePerson) {
	defer close(p.told)
	for {
		_, payload, err := p.ws.ReadMessage()
		if err != nil {
			return
		}
		now := time.Now()
		kind, body, err := wire.Message(payload)
		if err != nil {
			r.b.Error(err)
			return
		}
		switch kind {
		case wire.Outcome:
			if out, err := wire.ReadOutcome(body); err == nil {
				p.told <- out
			}
		case wire.Cell:
			if f, err := wire.ReadCellFrame(body); err == nil && !f.Baseline && r.running.Load() {
				r.frame(i, p, &f, now, len(payload))
			}
		}
	}
}

func (r *denseRun) frame(i int, p *densePerson, f *wire.CellFrame, now time.Time, size int) {
	steps := f.Steps()
	measured := r.measured.Load()
	var step wire.Step
	n := 0
	for steps.Next(&step) {
		n++
		r.sighting(i, &step, now)
		if p.last != nil && !step.Event {
			r.gap(p, step.Entity, now, measured)
		}
	}
	if measured {
		r.states.Add(int64(n))
		r.bytes.Add(int64(size))
	}
}

// sighting notes that i saw an action, if it is one of those nearest to it.
func (r *denseRun) sighting(i int, step *wire.Step, now time.Time) {
	by, known := r.byAvatar[step.Actor]
	if !known {
		return
	}
	a := r.people[by].doing[step.Number%remember].Load()
	if a == nil || a.number != step.Number {
		return
	}
	k := slices.Index(a.near, int32(i))
	if k < 0 || a.seen[k].Swap(true) {
		return
	}
	took := now.Sub(a.due)
	r.seen.Add(1)
	if took > denseD {
		r.late.Add(1)
	}
	r.mu.Lock()
	_ = r.near.RecordValue(max(1, took.Microseconds()))
	r.mu.Unlock()
}

func (r *denseRun) gap(p *densePerson, entity uint64, now time.Time, measured bool) {
	who, known := r.byAvatar[entity]
	if !known {
		return
	}
	if !p.last[who].IsZero() && measured {
		r.mu.Lock()
		_ = r.gaps.RecordValue(now.Sub(p.last[who]).Milliseconds())
		r.mu.Unlock()
	}
	p.last[who] = now
}

func freeAddress(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// scrape reads the server's metrics without labels.
func scrape(b *testing.B, address string) map[string]float64 {
	b.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	out := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); found && err == nil {
			out[name] = n
		}
	}
	return out
}
