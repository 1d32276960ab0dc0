package shard_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into testdata")

// TestScripts runs testdata/*.txt. Each block is commands, "----", and what the
// shards then say, in order. Commands:
//
//	attach NAME METRES      open a session METRES north of the border (negative: south)
//	act NAME NUMBER move METRES | speak TEXT | grab THING | spawn | leave
//	seal SHARD | commit SHARD    SHARD is south or north
//	deliver                 bring all parcels and acknowledgements to their shards
//	lose                    lose them
//	crash SHARD             forget it, and load it from its log
//	read SHARD METRES       read the cell METRES north of the border
//	wait DURATION           let time pass
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	var got strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		commands, _, ok := strings.Cut(block, "\n----")
		if i > 0 {
			got.WriteString("\n")
		}
		got.WriteString(commands + "\n")
		if !ok {
			continue // words for people
		}
		s.said = nil
		for _, line := range strings.Split(commands, "\n") {
			if !strings.HasPrefix(line, "#") {
				s.command(strings.Fields(line))
			}
		}
		got.WriteString("----\n")
		for _, line := range s.said {
			got.WriteString(line + "\n")
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(text) {
		t.Errorf("%s differs (-rewrite accepts it):\n%s", file, got.String())
	}
}

// script is two shards with a border that runs east-west, and what they say.
type script struct {
	*simulation
	names  map[world.ShardID]string
	shards map[string]world.ShardID
	border world.Geo // just south of it
	said   []string
}

func newScript(t *testing.T) *script {
	s := &script{simulation: newSimulation(1, t.Fatalf), names: map[world.ShardID]string{}, shards: map[string]world.ShardID{}}
	s.faults = false
	ids := uint64(0)
	s.nextID = func() uint64 { ids++; return ids }
	at := world.Geo{Lat: 25.0330, Lng: 121.5654}
	here := s.shardOf(at)
	for s.shardOf(at) == here {
		at.Lat += 1e-6
	}
	there := s.shardOf(at)
	at.Lat -= 1e-6
	s.border = at
	for name, id := range map[string]world.ShardID{"south": here, "north": there} {
		s.names[id], s.shards[name] = name, id
	}
	s.owner(here)
	s.owner(there)
	return s
}

func (s *script) at(metres string) world.Geo {
	north, err := strconv.ParseFloat(metres, 64)
	if err != nil {
		s.fatal("%v", err)
	}
	return world.Geo{Lat: s.border.Lat + north/111_195, Lng: s.border.Lng}
}

func (s *script) command(words []string) {
	switch words[0] {
	case "attach":
		at := s.at(words[2])
		s.clients = append(s.clients, &client{name: words[1], session: uint64(len(s.clients) + 1), home: s.shardOf(at)})
		s.attach(s.clients[len(s.clients)-1], pose(at))
	case "act":
		s.act(words)
	case "seal":
		o := s.owner(s.shards[words[1]])
		if b, ok := o.machine.Seal(s.now); ok {
			o.flight = &b
		}
	case "commit":
		o := s.owner(s.shards[words[1]])
		if o.flight == nil {
			s.advance(o)
		}
		if o.flight != nil {
			s.advance(o)
		}
	case "deliver":
		sent := s.network
		s.network = nil
		for _, t := range sent {
			if s.names[t.Target] != "" {
				s.network = append(s.network, t)
				s.deliver()
			}
		}
	case "lose":
		s.network = nil
	case "crash":
		o := s.owner(s.shards[words[1]])
		o.machine, o.flight = nil, nil
		s.load(o)
	case "read":
		cell, err := hex.Cell(s.at(words[2]).Lat, s.border.Lng, 10)
		if err != nil {
			s.fatal("%v", err)
		}
		o := s.owner(s.shards[words[1]])
		o.machine.ReadCell("gateway", &clusterv1.ReadCell{Cell: uint64(cell)})
		s.hear(o.machine.Immediate(nil))
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.fatal("%v", err)
		}
		s.now = s.now.Add(d)
		for _, id := range s.order {
			s.owner(id).machine.Tick(s.now)
			s.soon(s.owner(id))
		}
	default:
		s.fatal("no command %v", words)
	}
	s.hear(s.toClients)
	s.toClients = nil
}

func (s *script) act(words []string) {
	c := s.byName(words[1])
	number, _ := strconv.ParseUint(words[2], 10, 64)
	act := &starlingv1.Act{Number: number}
	switch words[3] {
	case "move":
		act.Function = &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(s.at(words[4]))}}
	case "speak":
		act.Function = &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: words[4]}}}
	case "spawn":
		act.Function = &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "thing", Pose: pose(s.at(words[4]))}}
	case "grab":
		id, _ := strconv.ParseUint(words[4], 10, 64)
		cell, _ := hex.Cell(s.at(words[5]).Lat, s.border.Lng, 10)
		act.Function = &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: &starlingv1.Target{Entity: id, Cell: uint64(cell)}}}
	case "leave":
		act.Function = &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}
	}
	s.send(c, act)
}

func (s *script) byName(name string) *client {
	for _, c := range s.clients {
		if c.name == name {
			return c
		}
	}
	s.fatal("nobody is called %s", name)
	return nil
}

// hear writes down what clients were told.
func (s *script) hear(tells []shard.Tell) {
	for _, t := range tells {
		s.said = append(s.said, s.words(t))
	}
}

func (s *script) words(t shard.Tell) string {
	switch {
	case t.Outcome != nil:
		o, c := t.Outcome.Outcome, s.client(t.Outcome.Session)
		line := fmt.Sprintf("%s: %d %v", c.name, o.Number, o.Code)
		if o.Entity != 0 {
			line += fmt.Sprintf(" entity %d", o.Entity)
		}
		if o.Expected != 0 {
			line += fmt.Sprintf(" expected %d", o.Expected)
		}
		if o.Repeated {
			line += " repeated"
		}
		if t.Outcome.MovedTo != nil {
			c.home = world.ShardOf(t.Outcome.MovedTo)
			line += " moved to " + s.names[c.home]
		}
		return line
	case t.Reply != nil:
		return fmt.Sprintf("%s: %v, avatar %d, next %d", s.clients[t.Reply.Request].name, t.Reply.Code, t.Reply.Attached.GetAvatar(), t.Reply.Attached.GetNextNumber())
	case t.Notice != nil:
		c := s.client(t.Notice.Session)
		if t.Notice.Ended {
			return fmt.Sprintf("%s: ended, %v", c.name, t.Notice.Why)
		}
		c.home = world.ShardOf(t.Notice.Shard)
		return fmt.Sprintf("%s: arrived in the %s", c.name, s.names[c.home])
	case t.NotMine != nil:
		return fmt.Sprintf("%s: not mine, later %v", s.client(t.NotMine.Session).name, t.NotMine.Later)
	case t.Baseline != nil:
		steps := new(starlingv1.Steps)
		_ = steps.UnmarshalVT(t.Baseline.Steps)
		line := fmt.Sprintf("at %d.%d:", t.Baseline.Epoch, t.Baseline.Sequence)
		slices.SortFunc(steps.Steps, func(a, b *starlingv1.Step) int { return cmp.Compare(a.GetUpdate().Entity, b.GetUpdate().Entity) })
		for _, step := range steps.Steps {
			u := step.GetUpdate()
			north := (u.Pose.Position.GetGeo().Latitude - s.border.Lat) * 111_195
			line += fmt.Sprintf(" [%s %d at %.0f m", u.Kind, u.Entity, north)
			if u.Holder != 0 {
				line += fmt.Sprintf(", held by %d", u.Holder)
			}
			if u.Frozen {
				line += ", frozen"
			}
			line += "]"
		}
		return line
	}
	return fmt.Sprint(t)
}
