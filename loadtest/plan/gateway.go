package plan

import (
	"math/bits"
	"time"

	pacing "github.com/starling-vr/starling/gateway/hub"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// gateway is a process with connections, which its hubs write to.
type gateway struct {
	model   *model
	machine *machine
	process *process
	hubs    []*hub
	pollers []*poller
	resting bool  // sockets wake no poller: a lane of the process collects
	inlet   *task // takes what owners send
}

func newGateway(m *model, on *machine, process func(*machine) *process) *gateway {
	of := process(on)
	g := &gateway{model: m, machine: on, process: of, inlet: of.newTask()}
	for range max(1, m.setup.Deployment.Cores/coresPerPoller) {
		g.pollers = append(g.pollers, &poller{gateway: g, task: of.newTask(), route: func(a *action) { m.route(g, a) }})
	}
	for i := range m.setup.Deployment.Cores {
		h := &hub{gateway: g, index: i, task: of.newTask(), cells: make(map[cellKey]*cell)}
		h.pace = pacing.NewSimulatedPace(m.setup.Deployment.FlushShare, m.setup.Deployment.Deadline)
		h.grain = max(m.setup.Deployment.Deadline/(wheelSize/2), 100*time.Microsecond)
		g.hubs = append(g.hubs, h)
		m.after(time.Duration(i)*pacing.TickEvery/time.Duration(m.setup.Deployment.Cores), h.tick)
	}
	return g
}

func (g *gateway) cost(microseconds float64) time.Duration {
	return us(microseconds * g.model.part.gateways.scale)
}

// hubAt spreads locations over the hubs, as gateways do: neighbouring cells
// mostly meet.
func (g *gateway) hubAt(e scenario.Entry) *hub {
	m := world.DefaultShardMap()
	cell, err := hex.Cell(e.Lat, e.Lng, m.CellResolution)
	if err != nil {
		return g.hubs[0]
	}
	place := uint64(0)
	if e.Place != nil {
		place = uint64(e.Place.Index) + 1
	}
	area := world.Parent(uint64(cell), m.CellResolution-2)
	mixed := (place*0x9e3779b97f4a7c15 ^ area) * 0xff51afd7ed558ccd
	return g.hubs[(mixed>>32)%uint64(len(g.hubs))]
}

// telling is what a message says to one client.
type telling struct {
	client *client
	action *action
	cell   *cell
}

// cell is a hub's image of a cell.
type cell struct{ news bool } // of which no frame is made yet

type cellKey struct {
	place int32
	cell  world.Cell
}

// cellOf gives a hub's image of a cell.
func (h *hub) cellOf(a *action) *cell {
	key := cellKey{a.Place, a.Cell}
	c := h.cells[key]
	if c == nil {
		c = &cell{}
		h.cells[key] = c
	}
	return c
}

// message is what a batch says of a cell, to a hub of a gateway of the deployment.
type message struct {
	hub  *hub
	cell *cell
	tell []telling
}

// publish tells of a batch: a message for each cell to each gateway, and hub there,
// with anybody who watches it.
func (o *owner) publish(batch []*action) {
	for i := 0; i < len(batch); {
		// Actions of a cell next to each other: the order within a cell stays.
		cell, same := batch[i].Cell, i+1
		for j := same; j < len(batch); j++ {
			if batch[j].Cell == cell && batch[j].Place == batch[i].Place {
				batch[same], batch[j] = batch[j], batch[same]
				same++
			}
		}
		messages := o.model.messagesOf(batch[i:same])
		if batch[i].stranger {
			o.process.spawn(o.route(len(messages)), func() {})
			messages = nil
		}
		for _, msg := range messages {
			o.send(msg)
		}
		i = same
	}
}

func (m *model) messagesOf(batch []*action) (out []message) {
	m.stamp++
	for _, a := range batch {
		for _, i := range a.expected {
			c := &m.clients[i]
			slot := int(c.gateway)*m.setup.Deployment.Cores + c.hub.index
			if m.stamps[slot] != m.stamp {
				m.stamps[slot], m.at[slot] = m.stamp, int32(len(out))
				out = append(out, message{hub: c.hub, cell: c.hub.cellOf(a)})
			}
			msg := &out[m.at[slot]]
			msg.tell = append(msg.tell, telling{c, a, msg.cell})
		}
	}
	return out
}

func (o *owner) send(msg message) {
	m := o.model
	if m.measuring {
		m.messages++
	}
	g := msg.hub.gateway
	if m.setup.Deployment.Together {
		msg.hub.leave(msg)
		return
	}
	o.process.spawn(o.route(1), func() {
		g.inlet.post(g.cost(m.costs.Owner.RouteUS), func() { msg.hub.leave(msg) })
	})
}

const wheelSize = 64

// hub writes to the connections of a part of the cells: one goroutine. Its timing is
// that of package gateway/hub: clients wait in a wheel of short grains of time, the
// earliest due first, and as long as all that waits can still be written in time. How
// long a write waits for company is decided by that package itself.
type hub struct {
	gateway *gateway
	index   int
	task    *task
	pace    *pacing.SimulatedPace
	rhythm  pacing.SimulatedRhythm
	inbox   []message
	asked   bool   // a turn will come
	putOff  uint64 // number of the wake-up that was put off; 0: none was
	wakeUps uint64
	ahead   time.Duration // how far ahead of time it writes in this turn

	cells    map[cellKey]*cell
	grain    time.Duration
	current  int64
	occupied uint64
	buckets  [wheelSize][]*client
	entries  int
	writing  int
	batched  int    // sockets in the system call that is being made up
	resting  uint64 // number of the last timer; older ones do nothing
}

func (h *hub) tick() {
	h.pace.Tick(h.gateway.model.now)
	h.gateway.model.after(pacing.TickEvery, h.tick)
}

// leave puts a message into the hub's inbox and wakes it, now or in a moment.
func (h *hub) leave(msg message) {
	h.inbox = append(h.inbox, msg)
	if h.asked {
		return
	}
	h.asked = true
	if wait := h.pace.PutOff(); wait > 0 {
		h.wakeUps++
		number := h.wakeUps
		h.putOff = number
		h.gateway.process.timer(wait, func() {
			if h.putOff == number {
				h.told()
			}
		})
		return
	}
	h.task.post(0, h.turn)
}

// told ends a wait for more of a moment's messages.
func (h *hub) told() {
	if h.putOff != 0 {
		h.putOff = 0
		h.task.post(0, h.turn)
	}
}

// turn takes what is in the inbox and writes what is due, or nearly so.
func (h *hub) turn() {
	now := h.gateway.model.now
	inbox := h.inbox
	h.inbox, h.asked = nil, false
	for i := range inbox {
		h.take(&inbox[i], now)
	}
	h.ahead = h.rhythm.Turn(now, len(inbox) > 0, h.pace)
	h.flushDue()
}

// wakened writes what is due.
func (h *hub) wakened() {
	h.ahead = 0
	h.flushDue()
}

// take makes those due who are told something.
func (h *hub) take(msg *message, now time.Duration) {
	msg.cell.news = true
	for _, t := range msg.tell {
		t.client.pending = append(t.client.pending, t)
		h.put(t.client, now, h.pace.Due(now, t.action.came))
	}
}

func (h *hub) put(c *client, now, due time.Duration) {
	if h.entries == 0 {
		h.current = int64(now / h.grain)
	}
	grain := min(max(int64(due/h.grain), h.current), h.current+wheelSize-1)
	if c.queued && c.due <= grain {
		return
	}
	c.queued, c.due = true, grain
	i := grain % wheelSize
	h.occupied |= 1 << i
	h.buckets[i] = append(h.buckets[i], c)
	h.entries++
}

// flushDue writes to all whose time has come, or rests until then.
func (h *hub) flushDue() {
	if h.writing > 0 {
		return
	}
	m := h.gateway.model
	for h.entries > 0 {
		at := h.current % wheelSize
		waiting := bits.RotateLeft64(h.occupied, -int(at))
		grain := h.current + int64(bits.TrailingZeros64(waiting))
		rest, work := time.Duration(1<<62), time.Duration(0)
		for ; waiting != 0; waiting &= waiting - 1 {
			g := h.current + int64(bits.TrailingZeros64(waiting))
			work += time.Duration(len(h.buckets[g%wheelSize])) * 2 * h.pace.Each()
			rest = min(rest, time.Duration(g)*h.grain-m.now-work)
		}
		if rest > h.ahead {
			h.current = max(h.current, int64(m.now/h.grain))
			h.batched = 0
			h.resting++
			number := h.resting
			h.gateway.process.timer(rest, func() {
				if h.resting == number {
					h.task.post(0, h.wakened)
				}
			})
			return
		}
		if h.flush(grain) {
			return
		}
	}
	h.batched = 0
}

// flush writes to those of a grain; true if there are any.
func (h *hub) flush(grain int64) bool {
	i := grain % wheelSize
	bucket, m := h.buckets[i], h.gateway.model
	h.buckets[i] = nil
	h.occupied &^= 1 << i
	h.entries -= len(bucket)
	began, late := m.now, m.now-time.Duration(grain+1)*h.grain
	flushed := 0
	for _, c := range bucket {
		if c.queued && c.due == grain {
			c.queued = false
			flushed++
			h.write(c)
		}
	}
	if flushed == 0 {
		return false
	}
	h.writing++
	h.task.post(0, func() {
		h.writing--
		h.pace.Worked(flushed, m.now-began, late)
		h.flushDue()
	})
	return true
}

// batchSize is how many sockets a system call writes to at most, as in gateway/hub.
const batchSize = 64

// write writes to one socket, together with those that are due, too.
func (h *hub) write(c *client) {
	m := h.gateway.model
	costs := &m.costs.Gateway
	pending := c.pending
	c.pending = nil
	if m.measuring {
		m.writes++
	}
	cost, joined := costs.WriteUS, h.batched > 0
	if !joined {
		cost += costs.CallUS
		if m.measuring {
			m.calls++
		}
	}
	h.batched = (h.batched + 1) % batchSize
	frames := 0
	for i, t := range pending {
		if i == 0 || t.cell != pending[i-1].cell {
			frames++
			cost += costs.FrameUS
		}
		if t.cell.news {
			// A frame is made for the first who gets it, for all.
			t.cell.news = false
			cost += costs.EncodeUS
			if m.measuring {
				m.encoded++
			}
		}
	}
	if m.measuring {
		m.frames += int64(frames)
	}
	h.task.push(slice{cost: h.gateway.cost(cost), joined: joined, then: func() {
		for _, t := range pending {
			h.pace.Left(m.now - t.action.came)
			m.seen(t.action)
		}
		if m.generator != nil {
			c := &m.costs.Generator
			m.generator.read(us(c.ReadUS + float64(frames)*c.FrameUS + float64(len(pending))*c.DeliveryUS))
		}
	}})
}
