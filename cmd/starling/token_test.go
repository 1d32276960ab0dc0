package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
)

func verified(t *testing.T, token string) auth.Identity {
	t.Helper()
	v, err := auth.NewWithKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	who, err := v.Verify(strings.TrimSpace(token), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestTokenCreateSignsWhatGatewaysTake(t *testing.T) {
	out, err := run("", "token", "create", "alice", "--key", testKey, "--scope", "spawn:ball,move:any", "--lifetime", "2h")
	if err != nil {
		t.Fatal(err)
	}
	who := verified(t, out)
	if who.Participant != "alice" || strings.Join(who.Scopes, " ") != "spawn:ball move:any" {
		t.Errorf("got %+v", who)
	}
	if left := time.Until(who.Expires); left < 119*time.Minute || left > 121*time.Minute {
		t.Errorf("good for %v", left)
	}
}

func TestTokenCreateMany(t *testing.T) {
	t.Setenv("STARLING_AUTH_KEY", testKey)
	out, err := run("", "token", "create", "tester", "--count", "3", "--json")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %d lines:\n%s", len(lines), out)
	}
	for i, line := range lines {
		var said struct {
			Participant, Token string
			Expires            int64
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatal(err)
		}
		who := verified(t, said.Token)
		if want := "tester-" + string(rune('0'+i)); said.Participant != want || who.Participant != want || said.Expires != who.Expires.Unix() {
			t.Errorf("line %d: %+v, token of %+v", i, said, who)
		}
	}
}

func TestTokenCreateForNamesFromInput(t *testing.T) {
	out, err := run("ada\n\n  grace  \n", "token", "create", "-", "--key", testKey)
	if err != nil {
		t.Fatal(err)
	}
	tokens := strings.Fields(out)
	if len(tokens) != 2 || verified(t, tokens[0]).Participant != "ada" || verified(t, tokens[1]).Participant != "grace" {
		t.Errorf("got %q", tokens)
	}
}

func TestTokenCreateSaysWhatIsWrong(t *testing.T) {
	for want, arguments := range map[string][]string{
		"STARLING_AUTH_KEY": {"alice"},
		"at least 32":       {"alice", "--key", "short"},
		"1..64 bytes":       {strings.Repeat("a", 65), "--key", testKey},
		"lifetime":          {"alice", "--key", testKey, "--lifetime", "-1s"},
		"standard input":    {"-", "--key", testKey, "--count", "2"},
		"--count":           {"alice", "--key", testKey, "--count", "-2"},
		"arg(s)":            {"--key", testKey},
		"no participants":   {"-", "--key", testKey},
		"more than 64":      {"alice", "--key", testKey, "--scope", strings.Repeat("a,", 64) + "a"},
		"a scope is a word": {"alice", "--key", testKey, "--scope", "spawn:ball move:any"},
		"below a second":    {"alice", "--key", testKey, "--lifetime", "10ms"},
	} {
		out, err := run("", append([]string{"token", "create"}, arguments...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %q, %v; want an error with %q", arguments, out, err, want)
		}
	}
}
