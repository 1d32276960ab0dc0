// Package check holds histories against each other: what every client of a test
// sent, was told and saw, and what the logs of all shards say was done. It finds
// whatever breaks the promises of sessions, hand-overs and views.
//
//	recorder := check.NewRecorder()
//	… clients with recorder.Client(name).Hook(&options) …
//	shards, err := check.ReadShards(ctx, log)
//	violations := check.Run(check.Input{Shards: shards, Clients: recorder.Histories(), …})
package check

import (
	"fmt"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// Input is what one run left behind.
type Input struct {
	Shards  []Shard
	Clients []History
	Map     world.ShardMap
	// Disk gives a cell and the rings of cells around it (H3's grid disk).
	// Without it final views are not checked.
	Disk func(cell world.Cell, ring int) []world.Cell
	// Quiet says that the logs and the final views were taken after everything
	// under way had arrived: then nothing may be outstanding any more.
	Quiet bool
}

// Shard is the log of one shard: its entries after a snapshot, or from the
// start.
type Shard struct {
	ID       world.ShardID
	At       uint64              // sequence of the snapshot, 0 for none
	Snapshot *clusterv1.Snapshot // nil for none
	Entries  []Entry
}

// Entry is one committed batch.
type Entry struct {
	Epoch    uint32
	Sequence uint64
	Batch    *clusterv1.Batch
}

// Rule names a promise.
type Rule string

const (
	LogBroken Rule = "log broken" // sequences with gaps, epochs that fall, undecodable batches

	SessionNumbers  Rule = "session numbers"   // a number left out, or final twice
	SessionTwoHomes Rule = "session two homes" // open in two shards at once
	SessionLost     Rule = "session lost"      // handed over, and nowhere since

	OutcomeNotInLog Rule = "outcome not in log" // acknowledged, and not committed
	OutcomeDiffers  Rule = "outcome differs"    // told twice with different content, or other than committed
	OutcomeForged   Rule = "outcome forged"     // committed for an action that the client never sent
	ActionDiffers   Rule = "action differs"     // a client sent different actions under one number

	EffectMissing Rule = "effect missing"    // applied, and the log does not show it
	EffectTwice   Rule = "effect twice"      // one action took effect more than once
	EffectRefused Rule = "effect of refused" // refused, and it took effect

	EntityTwoHomes Rule = "entity two homes"
	EntityLost     Rule = "entity lost"
	EntityAway     Rule = "entity away"      // changed by a shard that is not its home
	HandoverCount  Rule = "handover count"   // does not grow by one with each hand-over
	VersionWrong   Rule = "version wrong"    // of a logged step: not that of its batch
	HolderMissing  Rule = "holder missing"   // held by what is not here
	StepOrder      Rule = "step order"       // e.g. created while it exists
	ParcelNumbers  Rule = "parcel numbers"   // of an outbox: not without gaps
	ParcelForged   Rule = "parcel forged"    // accepted, and never sent
	ParcelOrder    Rule = "parcel order"     // a watermark that falls
	ParcelLost     Rule = "parcel lost"      // sent, and not accepted after quiet
	DeliveredEarly Rule = "delivered early"  // removed before its acceptance was durable
	FrameChain     Rule = "frame chain"      // a frame that does not build on what the client had
	FrameDiffers   Rule = "frame differs"    // not what the log says of the cell between its sequences
	SeenNotInLog   Rule = "seen not in log"  // a version or an event that was never committed
	ViewWentBack   Rule = "view went back"   // an older version after a newer one
	BaselineStale  Rule = "baseline differs" // not the cell as of its sequence
	EventTwice     Rule = "event twice"      // told twice to one client
	FinalMissing   Rule = "final view misses"
	FinalStale     Rule = "final view stale"
	FinalGhost     Rule = "final view ghost" // shows what is not there
)

// Violation is one promise broken, with what is needed to find out why.
type Violation struct {
	Rule     Rule
	Client   string
	Shard    world.ShardID
	Sequence uint64 // of the shard's log
	Session  world.SessionID
	Number   uint64 // of the session's action, or of a parcel
	Entity   world.EntityID
	Cell     world.Cell
	Detail   string
}

func (v Violation) String() string {
	text := string(v.Rule) + ": " + v.Detail
	add := func(set bool, format string, value any) {
		if set {
			text += fmt.Sprintf(format, value)
		}
	}
	add(v.Client != "", " client=%s", v.Client)
	add(v.Shard != world.ShardID{} || v.Sequence != 0, " shard=%v", v.Shard)
	add(v.Sequence != 0, " sequence=%d", v.Sequence)
	add(v.Session != 0, " session=%x", uint64(v.Session))
	add(v.Number != 0, " number=%d", v.Number)
	add(v.Entity != 0, " entity=%x", uint64(v.Entity))
	add(v.Cell != 0, " cell=%x", uint64(v.Cell))
	return text
}

// mostPerRule bounds what is reported of one rule: one fault often shows in
// thousands of places.
const mostPerRule = 100

// Run checks everything. No violations: the histories keep all promises.
func Run(input Input) []Violation {
	c := newChecker(input)
	for i := range input.Shards {
		c.indexParcels(&input.Shards[i])
	}
	for i := range input.Shards {
		c.replay(&input.Shards[i])
	}
	c.checkStays()
	c.checkSessions()
	c.checkParcels()
	for i := range input.Clients {
		c.checkClient(&input.Clients[i])
	}
	c.checkEffects()
	return c.found
}

// checker gathers what the logs say, then holds the clients against it.
type checker struct {
	Input
	found  []Violation
	counts map[Rule]int

	shards   map[world.ShardID]*shard
	parcels  map[route]*outbox
	cells    map[placeCell][]cellEntry // what each commit did to a cell
	versions map[entityVersion][]loggedState
	events   map[eventKey]int
	outcomes map[actionKey]*loggedOutcome
	actions  map[actionKey]*effect // by avatar and number
	stays    map[world.EntityID][]*stay
	periods  map[world.SessionID][]*period
	avatars  map[world.SessionID]world.EntityID
	sent     map[actionKey]*Action                 // by session and number
	whole    map[world.SessionID]bool              // sessions whose client's history is complete
	baseline map[world.ShardID]map[uint64][]*Frame // to be compared at a sequence
	compared map[*Frame]bool
	cut      bool // some log does not begin at the start
}

type placeCell struct {
	place world.PlaceID
	cell  world.Cell
}

type entityVersion struct {
	entity  world.EntityID
	version world.Version
}

type eventKey struct {
	actor   world.EntityID
	number  uint64
	version world.Version
	content uint64
}

// actionKey names an action by its session, or by the avatar.
type actionKey struct {
	of     uint64
	number uint64
}

func newChecker(input Input) *checker {
	c := &checker{
		Input: input, counts: make(map[Rule]int), shards: make(map[world.ShardID]*shard),
		parcels: make(map[route]*outbox), cells: make(map[placeCell][]cellEntry),
		versions: make(map[entityVersion][]loggedState), events: make(map[eventKey]int),
		outcomes: make(map[actionKey]*loggedOutcome), actions: make(map[actionKey]*effect),
		stays: make(map[world.EntityID][]*stay), periods: make(map[world.SessionID][]*period),
		avatars: make(map[world.SessionID]world.EntityID),
		sent:    make(map[actionKey]*Action), whole: make(map[world.SessionID]bool), baseline: make(map[world.ShardID]map[uint64][]*Frame),
	}
	c.wantBaselines()
	return c
}

// report notes a violation.
func (c *checker) report(v Violation, format string, args ...any) {
	c.counts[v.Rule]++
	if c.counts[v.Rule] > mostPerRule {
		return
	}
	v.Detail = fmt.Sprintf(format, args...)
	c.found = append(c.found, v)
}

// shardOf names the shard of a cell.
func (c *checker) shardOf(place world.PlaceID, cell world.Cell) world.ShardID {
	return c.Map.Shard(place, cell)
}
