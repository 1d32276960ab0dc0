package check

import (
	"hash/maphash"
	"sync"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/world"
)

// Recorder takes down the histories of many clients. Frames that many clients
// see are kept once.
type Recorder struct {
	seed maphash.Seed

	mu      sync.Mutex
	clients []*Client
	frames  map[uint64]*Frame
}

// NewRecorder makes an empty recorder.
func NewRecorder() *Recorder {
	return &Recorder{seed: maphash.MakeSeed(), frames: make(map[uint64]*Frame)}
}

// Client takes down the history of one client.
type Client struct {
	recorder *Recorder
	mu       sync.Mutex
	history  History
	shown    map[world.EntityID]world.Version
}

// Client begins a history.
func (r *Recorder) Client(name string) *Client {
	c := &Client{recorder: r, history: History{Name: name}, shown: make(map[world.EntityID]world.Version)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients = append(r.clients, c)
	return c
}

// Histories gives all histories. The clients must have come to rest.
func (r *Recorder) Histories() []History {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]History, 0, len(r.clients))
	for _, c := range r.clients {
		c.mu.Lock()
		all = append(all, c.history)
		c.mu.Unlock()
	}
	return all
}

// share gives the one copy of a frame. Two frames are the same if a 64-bit
// hash of all that they say is.
func (r *Recorder) share(f *Frame) *Frame {
	var h maphash.Hash
	h.SetSeed(r.seed)
	head := *f
	head.Steps = nil
	maphash.WriteComparable(&h, frameHead{head.Place, head.Cell, head.Epoch, head.From, head.Sequence, head.Baseline, head.Unwatched, head.Conflated, head.Partial, head.Missed})
	for _, step := range f.Steps {
		maphash.WriteComparable(&h, step)
	}
	key := h.Sum64()
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.frames[key]; one != nil {
		return one
	}
	r.frames[key] = f
	return f
}

type frameHead struct {
	place                          world.PlaceID
	cell                           world.Cell
	epoch                          uint32
	from, sequence                 uint64
	baseline, unwatched, conflated bool
	partial                        bool
	missed                         uint32
}

func (c *Client) add(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.At == 0 {
		e.At = time.Now().UnixMicro()
	}
	c.history.Events = append(c.history.Events, e)
}

// Welcomed takes down a Welcome.
func (c *Client) Welcomed(s starling.Session) {
	c.add(Event{Kind: Welcomed, Session: world.SessionID(s.ID), Avatar: world.EntityID(s.Avatar), Place: world.PlaceID(s.Place), Ring: int(s.Ring), Resumed: s.Resumed})
}

// Sent takes down an action that goes to the wire.
func (c *Client) Sent(act *starlingv1.Act, session uint64) {
	c.add(Event{Kind: Sent, Session: world.SessionID(session), Action: ActionOf(act)})
}

// Told takes down an outcome.
func (c *Client) Told(o *starlingv1.Outcome, session uint64) {
	c.add(Event{Kind: Told, Session: world.SessionID(session), Outcome: OutcomeOf(o)})
}

// Saw takes down a frame.
func (c *Client) Saw(f *starlingv1.CellFrame, received time.Time) {
	c.add(Event{Kind: Saw, At: received.UnixMicro(), Frame: c.recorder.share(FrameOf(f))})
}

// Ended says that the client has no connection any more, so that what it shows
// need not be the world.
func (c *Client) Ended() { c.add(Event{Kind: Ended}) }

// Ringed says that the client watches so many rings from now on.
func (c *Client) Ringed(ring int) { c.add(Event{Kind: Ringed, Ring: ring}) }

// Shows takes down that the client's view changed; only going back is kept.
func (c *Client) Shows(change starling.Change) {
	if change.Kind == starling.Vanished {
		return
	}
	id, now := world.EntityID(change.Entity.ID), versionOf(change.Entity.Version)
	c.mu.Lock()
	was := c.shown[id]
	c.shown[id] = now
	c.mu.Unlock()
	if now.Less(was) {
		c.add(Event{Kind: Showed, Entity: id, From: was, To: now})
	}
}

// Hook puts the recorder before the callbacks of a client's options.
func (c *Client) Hook(o *starling.Options) {
	session, send, outcome, frame, change := o.OnSession, o.OnSend, o.OnOutcome, o.OnFrame, o.OnChange
	o.OnSession = func(s starling.Session) {
		c.Welcomed(s)
		if session != nil {
			session(s)
		}
	}
	o.OnSend = func(act *starlingv1.Act, id uint64) {
		c.Sent(act, id)
		if send != nil {
			send(act, id)
		}
	}
	o.OnOutcome = func(out *starlingv1.Outcome, id uint64) {
		c.Told(out, id)
		if outcome != nil {
			outcome(out, id)
		}
	}
	o.OnFrame = func(f *starlingv1.CellFrame, received time.Time) {
		c.Saw(f, received)
		if frame != nil {
			frame(f, received)
		}
	}
	if o.NoView {
		return
	}
	o.OnChange = func(ch starling.Change) {
		c.Shows(ch)
		if change != nil {
			change(ch)
		}
	}
}

// Final takes down what the client shows now.
func (c *Client) Final(client *starling.Client) {
	s := client.Session()
	view := &View{Session: world.SessionID(s.ID), Avatar: world.EntityID(s.Avatar), Place: world.PlaceID(s.Place), Ring: int(s.Ring)}
	client.Entities(func(e starling.Entity) bool {
		view.Shown = append(view.Shown, Shown{
			Entity: world.EntityID(e.ID), Cell: world.Cell(e.Cell), Version: versionOf(e.Version), Holder: world.EntityID(e.Holder),
			Pose: poseDigest(e.Pose), Attributes: attributesDigest(e.Attributes),
		})
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Final = view
}
