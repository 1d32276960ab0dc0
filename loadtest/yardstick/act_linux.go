package yardstick

import (
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/world"
)

// take takes what was read; false ends the connection.
func (p *poller) take(c *connection, data []byte) bool {
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	if !c.upgraded {
		answer, size, err := upgrade(data)
		if err != nil {
			return false
		}
		if size > 0 {
			c.upgraded = true
			c.say(answer)
			data = data[size:]
		}
	}
	now := time.Now()
	for c.upgraded {
		opcode, payload, size, err := nextFrame(data)
		if err != nil {
			return false
		}
		if size == 0 {
			break
		}
		data = data[size:]
		if !p.frameOf(c, opcode, payload, now) {
			return false
		}
	}
	if len(data) == 0 {
		c.in = nil
	} else {
		c.in = append(c.in[:0:0], data...)
	}
	return true
}

func (p *poller) frameOf(c *connection, opcode byte, payload []byte, now time.Time) bool {
	switch opcode {
	case wire.OpBinary:
		return p.messageOf(c, payload, now)
	case wire.OpPing:
		c.say(append(conn.AppendHeader(nil, wire.OpPong, len(payload)), payload...))
		return true
	case wire.OpPong:
		return true
	}
	return false
}

func (p *poller) messageOf(c *connection, payload []byte, now time.Time) bool {
	var m starlingv1.ClientMessage
	if m.UnmarshalVT(payload) != nil {
		return false
	}
	switch kind := m.Kind.(type) {
	case *starlingv1.ClientMessage_Hello:
		return c.avatar == 0 && p.hello(c, kind.Hello)
	case *starlingv1.ClientMessage_Act:
		return c.avatar != 0 && p.act(c, kind.Act, now)
	case *starlingv1.ClientMessage_Ping:
		p.reset()
		p.add(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Pong{Pong: &starlingv1.Pong{
			ClientTimeUs: kind.Ping.ClientTimeUs, ServerTimeUs: uint64(now.UnixMicro()),
		}}})
		c.say(p.encoded)
	}
	return true
}

// mostRing is the largest ring that is granted, and window how many actions a
// session may have unanswered; as with a Starling.
const (
	mostRing = 3
	window   = 64
)

// hello brings a participant in.
func (p *poller) hello(c *connection, h *starlingv1.Hello) bool {
	c.place, c.ring = h.Place, min(int(h.Ring), mostRing)
	at, ok := p.geo(c, h.Start)
	if !ok {
		return false
	}
	id, err := p.server.world.located(c.place, at, nil)
	if err != nil {
		return false
	}
	c.avatar = p.server.ids.Add(1)
	p.reset()
	p.add(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{
		Session: c.avatar, Avatar: c.avatar, NextNumber: 1, Pose: &starlingv1.Pose{Position: h.Start}, Place: c.place, Ring: uint32(c.ring),
		Gateway: "yardstick", CellResolution: uint32(p.server.world.shards.CellResolution), MaxInFlight: window,
	}}})
	return p.enter(c, id) == nil
}

// geo gives where on Earth a position is.
func (p *poller) geo(c *connection, at *starlingv1.Position) (world.Geo, bool) {
	if geo := at.GetGeo(); geo != nil {
		return world.Geo{Lat: geo.Latitude, Lng: geo.Longitude}, c.place == 0
	}
	local := at.GetLocal()
	if local == nil {
		return world.Geo{}, false
	}
	frame, ok := p.server.world.frame(c.place)
	return frame.Geo(world.Local{East: local.East, North: local.North}), ok
}

// enter makes a cell a participant's own; what is encoded so far is said first,
// and then what of cells comes into view.
func (p *poller) enter(c *connection, id world.Cell) error {
	return p.server.world.enter(c, id, func(come, gone []*cell) {
		for _, k := range gone {
			p.addUnwatched(k)
		}
		for _, k := range come {
			p.addFrame(k, true)
		}
		c.say(p.encoded)
	})
}

// act does an action: the outcome goes to the actor, and what happened to all who
// watch its cell. An action that is not known is refused.
func (p *poller) act(c *connection, a *starlingv1.Act, now time.Time) bool {
	step := starlingv1.Step{}
	version := starlingv1.Version{Epoch: chainEpoch, Sequence: p.server.microseconds()}
	entity, code := uint64(0), starlingv1.Code_APPLIED
	if move := a.GetMove(); move != nil {
		if !p.moved(c, move.Pose) {
			return false
		}
		step.Is = &starlingv1.Step_Update{Update: &starlingv1.Update{Entity: c.avatar, Version: &version, Pose: move.Pose, By: c.avatar, Number: a.Number}}
	} else {
		entity, code = p.other(c, a, &version, &step)
	}
	p.reset()
	p.addOutcome(a.Number, code, entity)
	if step.Is == nil {
		c.say(p.encoded)
		return a.GetLeave() == nil
	}
	own := len(p.encoded)
	p.addFrame(c.cell, false, &step)
	p.broadcast(c, own, now)
	return true
}

// broadcast writes what is encoded: all of it to the actor, and the rest from own
// on to the others who watch its cell.
func (p *poller) broadcast(actor *connection, own int, now time.Time) {
	watchers := *actor.cell.watchers.Load()
	for _, w := range watchers {
		data := p.encoded[own:]
		if w == actor {
			data = p.encoded
		}
		if p.server.options.Wait > 0 {
			w.sayLater(data, p, now)
		} else {
			w.say(data)
		}
	}
}

// moved notes that an avatar went elsewhere.
func (p *poller) moved(c *connection, pose *starlingv1.Pose) bool {
	at, ok := p.geo(c, pose.GetPosition())
	if !ok {
		return false
	}
	id, err := p.server.world.located(c.place, at, c.cell)
	if err != nil {
		return false
	}
	if id == c.cell.id {
		return true
	}
	p.reset()
	return p.enter(c, id) == nil
}

// other does what is not a move: it gives what the outcome says, and fills in
// what is told to all, if anything is.
func (p *poller) other(c *connection, a *starlingv1.Act, version *starlingv1.Version, step *starlingv1.Step) (entity uint64, code starlingv1.Code) {
	event := &starlingv1.Event{Actor: c.avatar, Number: a.Number, Version: version}
	update := &starlingv1.Update{Version: version, By: c.avatar, Number: a.Number}
	switch f := a.Function.(type) {
	case *starlingv1.Act_Speak:
		event.What = &starlingv1.Event_Text{Text: f.Speak.GetText()}
	case *starlingv1.Act_Touch:
		event.What = &starlingv1.Event_Touched{Touched: &starlingv1.Touched{Entity: f.Touch.GetTarget().GetEntity()}}
	case *starlingv1.Act_Call:
		event.What = &starlingv1.Event_Custom{Custom: &starlingv1.Custom{Name: f.Call.Function}}
	case *starlingv1.Act_Grab:
		entity = f.Grab.GetTarget().GetEntity()
		update.Entity, update.Holder = entity, c.avatar
	case *starlingv1.Act_Release:
		update.Entity = f.Release.Entity
	case *starlingv1.Act_Spawn:
		entity = p.server.ids.Add(1)
		update.Entity, update.Change, update.Kind, update.Pose = entity, starlingv1.Change_CREATED, f.Spawn.Kind, f.Spawn.Pose
	case *starlingv1.Act_CreatePlace:
		return p.openPlace(f.CreatePlace.Place)
	case *starlingv1.Act_ClosePlace:
		p.server.world.closePlace(f.ClosePlace.Place)
		return 0, starlingv1.Code_APPLIED
	case *starlingv1.Act_Leave:
		return 0, starlingv1.Code_APPLIED
	default:
		return 0, starlingv1.Code_UNKNOWN_FUNCTION
	}
	step.Is = &starlingv1.Step_Event{Event: event}
	if event.What == nil {
		step.Is = &starlingv1.Step_Update{Update: update}
	}
	return entity, starlingv1.Code_APPLIED
}

func (p *poller) openPlace(place *starlingv1.Place) (id uint64, code starlingv1.Code) {
	if id = place.GetId(); id == 0 {
		id = p.server.ids.Add(1)
	}
	anchor := world.Geo{Lat: place.GetAnchor().GetLatitude(), Lng: place.GetAnchor().GetLongitude()}
	if p.server.world.openPlace(id, anchor) != nil {
		return 0, starlingv1.Code_INVALID
	}
	return id, starlingv1.Code_APPLIED
}
