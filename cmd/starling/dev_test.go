package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

func TestDevServesAPageACrowdAndTheWorldAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p, url, key := dev(t, "--crowd", "8", "--set", "debug_listen=127.0.0.1:0", "--set", "log.level=info")
	directory := p.find(`store +embedded in (\S+)`)
	if _, err := os.Stat(directory); err != nil {
		t.Error(err)
	}
	if status, body := fetch(t, url); status != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d %.100s", status, body)
	}

	// A token that the command signs is taken.
	token, err := run("", "token", "create", "visitor", "--key", key, "--scope", "spawn:ball")
	if err != nil {
		t.Fatal(err)
	}
	options, hears := listener()
	visitor := join(t, url, strings.TrimSpace(token), options)
	spoken(t, visitor, "good morning")
	hears(t, "good morning")
	eventually(t, "the crowd is in view", func() bool { return len(slices.Collect(visitor.Entities)) > 4 })

	// So is one that the page fetches.
	reply, err := http.Post(url+"dev/token", "application/json", bytes.NewReader([]byte(`{"name":"Ada"}`)))
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Token string }
	if err := json.NewDecoder(reply.Body).Decode(&said); err != nil {
		t.Error(err)
	}
	_ = reply.Body.Close()
	spoken(t, join(t, url, said.Token, starling.Options{}), "I am Ada")

	// Profiles are on their own listener only.
	profiles := p.find(`(http://\S+/debug/pprof/)`)
	if status, body := fetch(t, profiles+"cmdline"); status != http.StatusOK || !strings.Contains(body, "dev") {
		t.Errorf("profiles: %d %.100s", status, body)
	}
	if status, _ := fetch(t, url+"debug/pprof/cmdline"); status == http.StatusOK {
		t.Error("the public listener serves profiles")
	}

	p.terminate()
	if _, err := os.Stat(directory); !os.IsNotExist(err) {
		t.Errorf("the temporary directory is still there: %v", err)
	}
}

func TestDevKeepsItsWorldInADirectory(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "world")
	p, url, key := dev(t, "--data", directory)
	spawner := join(t, url, mint(t, key, "spawner"), starling.Options{})
	out, err := spawner.Spawn(within(t, time.Minute), "ball", &starlingv1.Pose{Position: starling.Geographic(25.0339, 121.5645, 0)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.terminate()

	p, url, key = dev(t, "--data", directory)
	visitor := join(t, url, mint(t, key, "visitor"), starling.Options{})
	eventually(t, "the ball is in view", func() bool {
		e, there := visitor.Entity(out.Entity)
		return there && e.Kind == "ball"
	})
	p.terminate()
	if _, err := os.Stat(directory); err != nil {
		t.Error(err)
	}
}

func TestABusyAddressIsExplained(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for setting, arguments := range map[string][]string{
		"listen":        {"dev", "--listen", taken.Addr().String()},
		"region.listen": {"dev", "--listen", "127.0.0.1:0", "--set", "region.listen=" + taken.Addr().String()},
		"debug_listen":  {"dev", "--listen", "127.0.0.1:0", "--set", "debug_listen=" + taken.Addr().String()},
	} {
		temporary := t.TempDir()
		p := launch(t, []string{"TMPDIR=" + temporary}, arguments...)
		<-p.exited
		if said := p.said(); p.status == nil || !strings.Contains(said, "--set "+setting+"=HOST:PORT") {
			t.Errorf("%v: %v, %s", arguments, p.status, said)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
			t.Errorf("%v: left %v behind, %v", arguments, left, err)
		}
	}
}
