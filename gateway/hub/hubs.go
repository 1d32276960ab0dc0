// Package hub tells participants what happens in the cells they watch.
//
// Connections are spread over a few hubs by location, so that those who watch a
// cell mostly share one. A hub is one goroutine that owns its cells' images,
// its clients and their interest, and does all their writing: a cell's frame is
// encoded once for all who watch it, and leaves together with a client's
// private messages in one write.
package hub

import (
	"math"
	"runtime"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Config of the hubs. Zero fields of numbers take the default that is named.
type Config struct {
	Hubs        int           // default GOMAXPROCS
	FlushShare  time.Duration // longest wait from the first pending thing to the write; 0: none
	Deadline    time.Duration // D, default 15 ms
	SlowReader  time.Duration // how long a connection may take nothing, default 10 s
	MaxBacklog  int           // private messages kept for a full connection, default 256
	CellLinger  time.Duration // how long a cell without watchers is kept, default 2 s
	Budget      Budget        // of deliveries to each client; default none
	Near        int           // entities that are near in a crowd, about, default 24
	Ring        bool          // write to many connections with one system call, where the kernel lets us (conn.BatchWriter)
	Shards      world.ShardMap
	AppendDisk  func(dst []world.Cell, center world.Cell, ring int) []world.Cell
	ReadCell    func(shard world.ShardID, cell world.Cell, request uint64)
	CloseReason func(code starlingv1.CloseCode, what string) string // adds when to come back
}

func (c *Config) setDefaults() {
	if c.Hubs <= 0 {
		c.Hubs = runtime.GOMAXPROCS(0)
	}
	c.Hubs = min(c.Hubs, maxHubs)
	if c.Deadline <= 0 {
		c.Deadline = 15 * time.Millisecond
	}
	if c.SlowReader <= 0 {
		c.SlowReader = 10 * time.Second
	}
	if c.MaxBacklog <= 0 {
		c.MaxBacklog = 256
	}
	if c.CellLinger <= 0 {
		c.CellLinger = 2 * time.Second
	}
	if c.Near <= 0 {
		c.Near = 24
	}
	if c.Shards.CellResolution == 0 {
		c.Shards = world.DefaultShardMap()
	}
	if c.CloseReason == nil {
		c.CloseReason = func(_ starlingv1.CloseCode, what string) string { return what }
	}
}

// maxHubs is bounded by the low byte of a request's number.
const maxHubs = 64

// Hubs is all hubs of a gateway. It is the bus's subscriber.
type Hubs struct {
	config  Config
	metrics *Metrics
	hubs    []*Hub
	table   *table
}

// New starts the hubs. subscribe is called once, with the handler that the bus
// is to tell.
func New(config Config, metrics *Metrics, subscribe func(pubsub.Handler) pubsub.Subscription) *Hubs {
	config.setDefaults()
	s := &Hubs{config: config, metrics: metrics}
	s.table = newTable(s)
	for i := range config.Hubs {
		s.hubs = append(s.hubs, newHub(s, i))
	}
	s.table.subscription = subscribe(s.table)
	for _, h := range s.hubs {
		go h.run()
	}
	return s
}

// Close ends the hubs. Clients are not told.
func (s *Hubs) Close() {
	for _, h := range s.hubs {
		close(h.stop)
	}
	for _, h := range s.hubs {
		<-h.stopped
	}
	s.table.subscription.Close()
}

// Newcomer is a client to be.
type Newcomer struct {
	Conn   conn.Conn
	Avatar world.EntityID
	Place  world.PlaceID
	Cell   world.Cell // where the avatar is
	Ring   int
	Budget Budget // what Granted gave
}

// Prepare makes a client, which watches nothing before Begin.
func (s *Hubs) Prepare(n Newcomer) *Client {
	c := &Client{hubs: s, conn: n.Conn, avatar: n.Avatar, place: n.Place, cell: n.Cell, ring: n.Ring, json: n.Conn.JSON(),
		deliveries: deliveries{budget: n.Budget}}
	c.hub.Store(s.hubOf(c.place, c.cell))
	return c
}

// Begin sends welcome, then what the client's cells hold.
func (c *Client) Begin(welcome *starlingv1.ServerMessage) {
	h := c.hub.Load() // nothing moves it before it is adopted
	h.call(func() {
		if !c.gone {
			h.holdWelcome(c, time.Now())
			h.private(privateMessage{client: c, message: welcome})
			h.adopt(c, nil)
		}
	})
}

// hubOf spreads locations over the hubs: neighbouring cells mostly meet.
func (s *Hubs) hubOf(place world.PlaceID, cell world.Cell) *Hub {
	area := world.Parent(uint64(cell), max(0, s.config.Shards.CellResolution-2))
	mixed := (uint64(place)*0x9e3779b97f4a7c15 ^ area) * 0xff51afd7ed558ccd
	return s.hubs[(mixed>>32)%uint64(len(s.hubs))]
}

// Baseline takes the answer to a ReadCell.
func (s *Hubs) Baseline(m pubsub.Message) {
	if h := s.byRequest(m.Request); h != nil {
		h.call(func() { h.baseline(m) })
	}
}

// ReadRefused says that a ReadCell was not answered: the owner is not there now.
func (s *Hubs) ReadRefused(request uint64) {
	if h := s.byRequest(request); h != nil {
		h.call(func() { h.readRefused(request) })
	}
}

// RoutesChanged says that the shards that affected names may have another owner:
// what was asked of the one before is asked again.
func (s *Hubs) RoutesChanged(affected func(world.ShardID) bool) {
	s.table.rewatch(affected)
	for _, h := range s.hubs {
		h.call(func() { h.readAgain(affected) })
	}
}

// byRequest finds the hub that numbered a request. The low byte of requests of
// the hubs is theirs; others use 0 there.
func (s *Hubs) byRequest(request uint64) *Hub {
	index := int(request&0xff) - 1
	if index < 0 || index >= len(s.hubs) {
		return nil
	}
	return s.hubs[index]
}

// Told says that the messages of a moment have all come, as a store's round brings
// them: a hub that waits for more of them turns now. It gives how much time there
// is to spare, from 0 to 1: 0 where any longer wait would make updates old.
func (s *Hubs) Told() (ease float64) {
	ease, known := 1, false
	for _, h := range s.hubs {
		if h.slack.cutShort() {
			h.wakeNow()
		}
		if of := math.Float32frombits(h.ease.Load()); of >= 0 {
			ease, known = min(ease, float64(of)), true
		}
	}
	if !known {
		return 0
	}
	return ease
}

// IsRequest says whether a hub numbered the request.
func (s *Hubs) IsRequest(request uint64) bool { return s.byRequest(request) != nil }
