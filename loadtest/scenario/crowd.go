package scenario

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// Options say how large a crowd to make of a scenario.
type Options struct {
	Participants int            // present at once; 0: the scenario's
	Rate         float64        // mean lambda, actions per second of each; 0: the scenario's
	Seed         uint64         // of everything random
	Duration     time.Duration  // no action is due later; must be given with churn and storms, 0 otherwise is for ever
	Density      float64        // of clusters, as a factor; 0: 1
	Window       time.Duration  // see Crowd.Affected; 0: 500 ms
	Map          world.ShardMap // zero: the default
	Hysteresis   float64        // metres beyond its cell at which the server hands an entity over; 0: 3

	// Only keeps a part of the crowd: of Participants, those whose home (their
	// group's, cluster's or match's centre) it accepts. The rates are those that
	// they have in the whole crowd. Not with churn or storms.
	Only func(home Home) bool
}

// Home is the centre of a group, cluster or match.
type Home struct {
	Index    int
	Lat, Lng float64
	Place    *Place // nil on the map
}

// Place is a place that the crowd needs; positions in it are metres from its anchor.
type Place struct {
	Index    int // from 0
	Name     string
	Lat, Lng float64 // of the anchor
	Extent   float64 // metres
	Capacity int
}

// Entry is how a participant comes into the world.
type Entry struct {
	Place       *Place  // nil is the map
	Lat, Lng    float64 // where the avatar appears; in a place, that of the local position
	East, North float64 // in a place, metres from its anchor
	Ring        int
	Thing       bool          // has a thing of its own, to be spawned where it appears (once) before anything else
	Joins       time.Duration // from the start; 0: before it
	Leaves      time.Duration // math.MaxInt64: stays
}

// Function is what an action does.
type Function uint8

// The functions of a crowd.
const (
	Move    Function = iota
	Speak            // Action.Text
	Touch            // the avatar of Action.Target
	Grab             // the thing of Action.Target, which is the actor's own
	Release          // the same, where the actor stands
	Work             // the function of the scenario's [work]
	functions
)

var functionNames = [functions]string{"move", "speak", "touch", "grab", "release", "work"}

func (f Function) String() string {
	if f < functions {
		return functionNames[f]
	}
	return fmt.Sprintf("function %d", uint8(f))
}

// Pose is where the actor is, and how it goes: metres per second.
type Pose struct {
	Lat, Lng                    float64
	East, North                 float32 // in a place, metres from its anchor
	VelocityEast, VelocityNorth float32
}

// Action is one action that is due.
type Action struct {
	Due         time.Duration // from the start
	Participant int32
	Target      int32 // a participant: of Touch, Grab and Release; else -1
	Function    Function
	Place       int32      // Place.Index; -1 is the map
	Cell        world.Cell // where it is seen: the actor's cell once it is done
	Pose        Pose       // of the actor, whatever the function
	Text        string     // of Speak

	site, from int32 // from: before a move into another cell, else -1
}

// Crowd gives the actions of a crowd in the order in which they are due. It is
// for one goroutine.
type Crowd struct {
	scenario *Scenario
	options  Options
	layout   *layout
	random   *rand.Rand
	arrivals arrivals

	people []person
	ids    []int32 // with Options.Only: the number in the whole crowd of each
	lives  lives
	things map[int32]thing
	sites  sites
	cells  *hex.Tracker

	ahead     []Action // a ring: made, but not handed out yet
	head, n   int
	produced  bool // there are no more
	crossings crossings
	changes   int // of lives.changes: how many are done
	now       time.Duration
	stamp     uint32

	expected, uncertain []int32
	crossed, handed     int64
}

// person is the state of a participant. Positions are metres from the centre of
// its home.
type person struct {
	east, north         float32
	goalEast, goalNorth float32
	speed               float32
	home                int32
	site                int32 // as of the action handed out last
	ahead               int32 // as of the action made last
	next, previous      int32 // of those in the site
	mark                uint32
	here, holding, on   bool
	moved               time.Duration
	rests               time.Duration // until then
	toggled             time.Duration // when on was known last
}

// thing lies where its owner dropped it.
type thing struct {
	lat, lng float64
	site     int32
}

const (
	defaultWindow     = 500 * time.Millisecond
	defaultHysteresis = 3
	maxParticipants   = 20_000_000
)

func (o *Options) complete(s *Scenario) error {
	if o.Participants == 0 {
		o.Participants = s.Participants
	}
	if o.Participants < 1 || o.Participants > maxParticipants {
		return fmt.Errorf("%d participants: want 1..%d", o.Participants, maxParticipants)
	}
	if o.Map == (world.ShardMap{}) {
		o.Map = world.DefaultShardMap()
	}
	if o.Density == 0 {
		o.Density = 1
	}
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.Hysteresis == 0 {
		o.Hysteresis = defaultHysteresis
	}
	changing := s.Churn.Stay > 0 || len(s.Storms) > 0
	switch {
	case !(o.Density >= 1e-3 && o.Density <= 1e3):
		return fmt.Errorf("a density of %v: want 0.001..1000", o.Density)
	case !(o.Rate >= 0 && o.Rate <= maxRate):
		return fmt.Errorf("a rate of %v: want 0..%d", o.Rate, maxRate)
	case o.Duration < 0 || o.Window < 0:
		return errors.New("times are not negative")
	case changing && o.Duration == 0:
		return errors.New("with churn or storms a duration must be given")
	case changing && o.Only != nil:
		return errors.New("a crowd with churn or storms is made whole only")
	}
	return nil
}

// New makes a crowd.
func New(s *Scenario, o Options) (*Crowd, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := o.complete(s); err != nil {
		return nil, err
	}
	layout, err := newLayout(s, &o)
	if err != nil {
		return nil, err
	}
	c := &Crowd{
		scenario: s, options: o, layout: layout, things: make(map[int32]thing),
		random: rand.New(rand.NewPCG(o.Seed, 0x5ca1ab1e)),
		lives:  newLives(s, &o),
		cells:  hex.NewTracker(o.Map.CellResolution, 1<<16),
	}
	c.sites.init(o.Map, s.Ring)
	c.choose()
	if err := c.populate(); err != nil {
		return nil, err
	}
	c.arrivals = newArrivals(s, &o, c.slots())
	return c, nil
}

// choose notes which participants are kept.
func (c *Crowd) choose() {
	only := c.options.Only
	if only == nil {
		return
	}
	kept := make([]bool, len(c.layout.homes))
	for i := range c.layout.homes {
		h := &c.layout.homes[i]
		kept[i] = only(Home{Index: i, Lat: h.lat, Lng: h.lng, Place: c.place(h.place)})
	}
	c.ids = []int32{}
	for i := range c.options.Participants {
		from := newDraw(c.options.Seed, ofEntry, uint64(i))
		if kept[c.layout.homeOf(i, &from)] {
			c.ids = append(c.ids, int32(i))
		}
	}
}

// slots is how many participants are present at once.
func (c *Crowd) slots() int {
	if c.ids != nil {
		return len(c.ids)
	}
	return c.options.Participants
}

func (c *Crowd) place(index int32) *Place {
	if index < 0 {
		return nil
	}
	return &c.layout.places[index]
}

// Places lists the places that the crowd needs.
func (c *Crowd) Places() []Place { return c.layout.places }

// Participants is how many there are in all: with churn and storms more than
// are present at once.
func (c *Crowd) Participants() int { return c.slots() + len(c.lives.slot) }

// Present is how many participants are present at once, storms apart.
func (c *Crowd) Present() int { return c.slots() }

// Groups is how many groups, matches or clusters the participants are spread among.
func (c *Crowd) Groups() int { return len(c.layout.homes) }

// Rate is the mean lambda of the crowd, actions per second of each participant.
func (c *Crowd) Rate() float64 {
	if c.options.Rate > 0 {
		return c.options.Rate
	}
	return c.scenario.Arrivals.mean()
}

// number is a participant's in the whole crowd, and slot that of whom it came
// in the stead of.
func (c *Crowd) number(i int) (number, slot int) {
	switch {
	case c.ids != nil:
		return int(c.ids[i]), int(c.ids[i])
	case i >= c.options.Participants:
		return i, int(c.lives.slot[i-c.options.Participants])
	}
	return i, i
}

// enters draws where a participant comes into the world.
func (c *Crowd) enters(i int) (home int32, east, north float32, has bool) {
	number, slot := c.number(i)
	from := newDraw(c.options.Seed, ofEntry, uint64(slot))
	home = c.layout.homeOf(slot, &from)
	h := &c.layout.homes[home]
	k := &c.layout.kinds[h.kind]
	who := newDraw(c.options.Seed, ofPerson, uint64(number))
	x, y := k.point(k.habit(who), &from)
	has = c.scenario.Mix.Grab > 0 && newDraw(c.options.Seed, ofPerson, uint64(number)<<1|1).first() < c.scenario.Mix.Things
	return home, float32(x), float32(y), has
}

func (d draw) first() float64 { return d.float() }

// Entry says how participant i comes into the world.
func (c *Crowd) Entry(i int) Entry {
	home, east, north, has := c.enters(i)
	h := &c.layout.homes[home]
	e := Entry{Place: c.place(h.place), Ring: c.scenario.Ring, Thing: has, Leaves: math.MaxInt64}
	e.Lat, e.Lng = h.position(east, north)
	if e.Place != nil {
		e.East, e.North = float64(east), float64(north)
	}
	if len(c.lives.joins) > 0 {
		e.Joins, e.Leaves = c.lives.joins[i], c.lives.leaves[i]
	}
	return e
}

// populate puts everyone where they come in.
func (c *Crowd) populate() error {
	c.people = make([]person, c.Participants())
	for i := range c.people {
		p := &c.people[i]
		home, east, north, has := c.enters(i)
		h := &c.layout.homes[home]
		p.home, p.east, p.north = home, east, north
		lat, lng := h.position(east, north)
		site, err := c.locate(h.place, lat, lng, -1)
		if err != nil {
			return err
		}
		p.site, p.ahead, p.on = site, site, true
		p.moved = c.joins(i)
		if has {
			c.things[int32(i)] = thing{lat: lat, lng: lng, site: site}
		}
		c.chooseGoal(int32(i), p, p.moved)
		if c.joins(i) <= 0 {
			c.enter(int32(i))
		}
	}
	return nil
}

func (c *Crowd) joins(i int) time.Duration {
	if len(c.lives.joins) == 0 {
		return 0
	}
	return c.lives.joins[i]
}

func (c *Crowd) leaves(i int) time.Duration {
	if len(c.lives.leaves) == 0 {
		return math.MaxInt64
	}
	return c.lives.leaves[i]
}

// Next gives the next action; false when there are no more until Duration.
func (c *Crowd) Next() (Action, bool) {
	for !c.produced && (c.n == 0 || c.newest().Due <= c.ahead[c.head].Due+c.options.Window) {
		c.produce()
	}
	if c.n == 0 {
		return Action{}, false
	}
	a := c.ahead[c.head]
	c.head = (c.head + 1) % len(c.ahead)
	c.n--
	c.now = a.Due
	c.change(a.Due)
	c.crossings.forget(a.Due-c.options.Window, &c.sites)
	if p := &c.people[a.Participant]; a.from >= 0 && p.here {
		c.exit(a.Participant)
		p.site = a.site
		c.enter(a.Participant)
		c.crossed++
		if c.Shard(a.Place, c.sites.all[a.from].cell) != c.Shard(a.Place, a.Cell) {
			c.handed++
		}
	}
	return a, true
}

func (c *Crowd) newest() *Action { return &c.ahead[(c.head+c.n-1)%len(c.ahead)] }

// change lets those come and go whose time it is.
func (c *Crowd) change(now time.Duration) {
	for ; c.changes < len(c.lives.changes) && c.lives.changes[c.changes].at <= now; c.changes++ {
		x := c.lives.changes[c.changes]
		switch p := &c.people[x.participant]; {
		case x.comes:
			c.enter(x.participant)
		case p.here:
			c.exit(x.participant)
		}
	}
}

// push adds an action to those made.
func (c *Crowd) push(a Action) {
	if c.n == len(c.ahead) {
		larger := make([]Action, max(64, 2*len(c.ahead)))
		for i := range c.n {
			larger[i] = c.ahead[(c.head+i)%len(c.ahead)]
		}
		c.ahead, c.head = larger, 0
	}
	c.ahead[(c.head+c.n)%len(c.ahead)] = a
	c.n++
}
