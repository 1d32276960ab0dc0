package starling_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

const protocolPage = "../../docs/reference/protocol.md"

var renew = flag.Bool("renew", false, "write the generated parts of docs/reference/protocol.md anew")

// TestProtocolPage holds the tables of codes and the hex dumps of the protocol's
// reference against the schema and the encoder.
func TestProtocolPage(t *testing.T) {
	data, err := os.ReadFile(protocolPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	want := page
	for mark, content := range map[string]string{
		"codes:close":   closeCodes(t),
		"codes:outcome": outcomeCodes(t),
		"exchange":      exchange(t),
	} {
		want = section(t, want, mark, content)
	}
	if want == page {
		return
	}
	if *renew {
		if err := os.WriteFile(protocolPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is stale: go test ./clients/go -run ProtocolPage -renew", protocolPage)
}

// section replaces what is between a mark and its end.
func section(t *testing.T, page, mark, content string) string {
	begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->\n"
	head, rest, found := strings.Cut(page, begin)
	if !found {
		t.Fatalf("%s has no %s", protocolPage, begin)
	}
	if _, after, closed := strings.Cut(rest, end); closed {
		rest = after
	}
	return head + begin + content + end + rest
}

// What each code is for, and what the client's application may do about it.
var closeTexts = map[starlingv1.CloseCode]string{
	starlingv1.CloseCode_GOING_AWAY:      "the gateway drains or restarts: reconnect, and resume",
	starlingv1.CloseCode_SLOW_READER:     "the client read too slowly for too long: reconnect, and resume",
	starlingv1.CloseCode_IDLE:            "no message and no pong for too long: reconnect, and resume",
	starlingv1.CloseCode_FULL:            "over the gateway's limit of connections: reconnect later",
	starlingv1.CloseCode_UNREACHABLE:     "the world cannot be reached now: reconnect later, and resume",
	starlingv1.CloseCode_TOKEN_EXPIRED:   "fetch a new token, then reconnect and resume",
	starlingv1.CloseCode_ADDRESS_LIMIT:   "too many connections from this address: reconnect later",
	starlingv1.CloseCode_SESSION_GONE:    "nothing left to resume: reconnect without `resume`; what was in flight has an unknown fate",
	starlingv1.CloseCode_BAD_MESSAGE:     "not a message of this protocol: a fault of the client",
	starlingv1.CloseCode_UNAUTHENTICATED: "the token is missing, forged or of another issuer: get another",
	starlingv1.CloseCode_FENCED:          "a newer session of this participant took over: leave it alone",
	starlingv1.CloseCode_TOO_LARGE:       "a message over the size limit: a fault of the client",
	starlingv1.CloseCode_FLOOD:           "kept on sending over the rate: a fault of the client",
	starlingv1.CloseCode_NO_HELLO:        "no valid Hello within the handshake time",
	starlingv1.CloseCode_NOT_ALLOWED:     "the place is closed, full or needs another scope",
	starlingv1.CloseCode_LEFT_WORLD:      "the session left",
	starlingv1.CloseCode_PLACE_CLOSED:    "the place was closed",
}

var outcomeTexts = map[starlingv1.Code]string{
	starlingv1.Code_APPLIED:           "done; `entity` is what was created or grabbed, `result` what a game's function returned",
	starlingv1.Code_INVALID:           "malformed, out of range or too large; also a number so old that its outcome is no longer remembered",
	starlingv1.Code_TOO_FAST:          "farther than the speed limit allows: move less, or `relocate`",
	starlingv1.Code_RELOCATE_TOO_SOON: "`relocate` is granted only once in a while",
	starlingv1.Code_OUT_OF_REACH:      "the target is too far away: move closer",
	starlingv1.Code_NO_SUCH_ENTITY:    "not there, or no longer",
	starlingv1.Code_HELD:              "somebody holds it",
	starlingv1.Code_NOT_HOLDER:        "the avatar does not hold it",
	starlingv1.Code_FORBIDDEN:         "the token's scope does not allow it",
	starlingv1.Code_UNKNOWN_FUNCTION:  "no game registered it",
	starlingv1.Code_LIMIT:             "a limit of the world is reached (entities, held things, capacity)",
	starlingv1.Code_LATE:              "its deadline passed while it was on its way to another shard",
	starlingv1.Code_OUTSIDE_PLACE:     "outside the extent of the place",
	starlingv1.Code_NO_SUCH_PLACE:     "there is no such place",
	starlingv1.Code_REJECTED:          "a game's own function said no: see `message`",
	starlingv1.Code_FAILED:            "the function failed, a fault of the server's: its effects were undone",
	starlingv1.Code_IN_TRANSIT:        "the target is on its way between shards: try again, as a new action",
	starlingv1.Code_BUSY:              "over the guarantee, or the shard's queue is full",
	starlingv1.Code_UNAVAILABLE:       "the shard is moving, or its owner was lost",
	starlingv1.Code_OUT_OF_ORDER:      "another number is next: `expected`",
	starlingv1.Code_RATE:              "over the connection's own rate or window",
	starlingv1.Code_DRAINING:          "this gateway is going away: the action is sent again after the reconnection",
	starlingv1.Code_TOO_LATE_TO_START: "it could not have finished in time, so it was not begun",
}

func closeCodes(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| Code | Name | What to do |\n| --- | --- | --- |\n")
	values := starlingv1.CloseCode(0).Descriptor().Values()
	for i := range values.Len() {
		code := starlingv1.CloseCode(values.Get(i).Number())
		row(t, &b, int(code), code.String(), closeTexts[code])
	}
	return b.String()
}

func outcomeCodes(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| Code | Name | Why |\n| --- | --- | --- |\n")
	values := starlingv1.Code(0).Descriptor().Values()
	for i := range values.Len() {
		code := starlingv1.Code(values.Get(i).Number())
		row(t, &b, int(code), code.String(), outcomeTexts[code])
	}
	return b.String()
}

func row(t *testing.T, b *strings.Builder, code int, name, text string) {
	if code == 0 {
		return
	}
	if text == "" {
		t.Errorf("code %d %s is not described", code, name)
	}
	fmt.Fprintf(b, "| %d | `%s` | %s |\n", code, name, text)
}

// exchange is the worked example: each message in JSON and in bytes.
func exchange(t *testing.T) string {
	const (
		session, avatar = 0x7a3c91e05b2d4f68, 0x1122334455667788
		cell            = 0x8a4ba0a41a5ffff
	)
	pose := &starlingv1.Pose{
		Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: 25.0330, Longitude: 121.5645}}},
		Velocity: &starlingv1.Vector{East: 1.5},
	}
	steps := []*starlingv1.Steps{{AgeUs: 4200, Steps: []*starlingv1.Step{{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{
		Entity: avatar, Version: &starlingv1.Version{Epoch: 3, Sequence: 1200}, Pose: pose, By: avatar, Number: 1,
	}}}}}}
	messages := []struct {
		who, what string
		m         proto.Message
	}{
		{"client", "Hello", &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: &starlingv1.Hello{
			Token: "eyJh…", Client: "example/1.0", Ring: 1, Start: pose.Position,
		}}}},
		{"gateway", "Welcome", &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{
			Session: session, Avatar: avatar, NextNumber: 1, Pose: &starlingv1.Pose{Position: pose.Position}, Ring: 1, DeadlineUs: 15000,
			ResumeMs: 30000, Gateway: "g1", Version: "1.0.0", CellResolution: 10, MaxInFlight: 64,
		}}}},
		{"client", "Act 1: move", &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: &starlingv1.Act{
			Number: 1, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose}},
		}}}},
		{"gateway", "Outcome of 1", &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Outcome{Outcome: &starlingv1.Outcome{
			Number: 1, Code: starlingv1.Code_APPLIED,
		}}}},
		{"gateway", "CellFrame with the update, to everyone who watches the cell", &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Frame{Frame: &starlingv1.CellFrame{
			Cell: cell, Epoch: 3, From: 1198, Sequence: 1200, Commits: steps,
		}}}},
	}
	var b strings.Builder
	for _, one := range messages {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(one.m)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(one.m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "**%s → %s: %s**, %d bytes\n```\n%s\n\n%s```\n", one.who, other(one.who), one.what, len(data), plain(text), hex.Dump(data))
	}
	return b.String()
}

func other(who string) string {
	if who == "client" {
		return "gateway"
	}
	return "client"
}

// plain undoes the random spaces of protojson, which are there so that nobody
// compares its output.
func plain(text []byte) string {
	var b strings.Builder
	quoted := false
	for i, c := range text {
		if c == '"' && (i == 0 || text[i-1] != '\\') {
			quoted = !quoted
		}
		if c == ' ' && !quoted {
			continue
		}
		b.WriteByte(c)
		if !quoted && (c == ':' || c == ',') {
			b.WriteByte(' ')
		}
	}
	return b.String()
}
