package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
)

// steady acts without a pause until stop, and gives how many actions were
// acknowledged; one that was refused for good or lost is a failure.
func steady(t *testing.T, c *starling.Client) (stop func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	var acting sync.WaitGroup
	done := 0
	acting.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := c.Speak(within(t, time.Minute), fmt.Sprint("word ", i)); err != nil {
				t.Errorf("action %d: %v", i, err)
				return
			}
			done++
		}
	})
	return func() int {
		cancel()
		acting.Wait()
		return done
	}
}

// shardRow is a line of `starling shards list`.
type shardRow struct {
	shard, owner, state string
	epoch, participants int
	actions             float64
}

func listShards(t *testing.T, peer string, more ...string) []shardRow {
	t.Helper()
	out, err := run("", append([]string{"shards", "list", "--peer", peer}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if fields := strings.Fields(lines[0]); len(fields) < 9 || fields[0] != "SHARD" || fields[8] != "MISSES/S" {
		t.Fatalf("the head of the list is %q", lines[0])
	}
	var rows []shardRow
	for _, line := range lines[1:] {
		f := strings.Fields(line)
		if len(f) < 9 {
			t.Logf("half a line: %q", line)
			continue
		}
		r := shardRow{shard: f[0], owner: f[1], state: f[2]}
		r.epoch, _ = strconv.Atoi(f[3])
		r.participants, _ = strconv.Atoi(f[5])
		r.actions, _ = strconv.ParseFloat(f[7], 64)
		rows = append(rows, r)
	}
	return rows
}

// avatars gives who serves the participants.
func avatars(rows []shardRow) (owner string, participants int, actions float64, epoch int) {
	for _, r := range rows {
		if r.participants > 0 {
			owner, participants, actions, epoch = r.owner, participants+r.participants, actions+r.actions, r.epoch
		}
	}
	return owner, participants, actions, epoch
}

func TestARegionIsWatchedDrainedAndStoppedWhileParticipantsAct(t *testing.T) {
	t.Parallel()
	store := "store.redis.addresses=" + redistest.Start(t, redisproc.Options{}).Address()
	gateway, listen, peer := serve(t, "--roles", "gateway", "--node", "gateway-1", "--set", store)
	owners := map[string]*process{}
	for _, id := range []string{"owner-1", "owner-2"} {
		owners[id], _, _ = serve(t, "--roles", "owner", "--node", id, "--set", store)
	}
	token, err := run("", "token", "create", "walker", "--key", testKey)
	if err != nil {
		t.Fatal(err)
	}
	options, hears := listener()
	ear := join(t, "http://"+listen, mint(t, testKey, "ear"), options)
	stop := steady(t, join(t, "http://"+listen, strings.TrimSpace(token), starling.Options{}))
	hears(t, "word 0")

	var owner string
	var epoch int
	eventually(t, "the list shows two participants who act", func() bool {
		var participants int
		var actions float64
		owner, participants, actions, epoch = avatars(listShards(t, peer))
		return participants == 2 && actions > 0 && epoch > 0
	})
	out, err := run("", "shards", "owners", "--peer", peer)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"gateway-1", "owner-1", "owner-2"} {
		if !strings.Contains(out, id) {
			t.Errorf("%s is missing in\n%s", id, out)
		}
	}

	if _, err := run("", "shards", "drain", owner, "--peer", peer); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all shards are elsewhere", func() bool {
		rows := listShards(t, peer)
		for _, r := range rows {
			if r.owner == owner {
				return false
			}
		}
		now, participants, _, newer := avatars(rows)
		return now != "" && participants == 2 && newer > epoch
	})
	spoken(t, ear, "after the drain")
	hears(t, "after the drain")

	// The drained owner ends; then it is called back and takes its share again.
	owners[owner].terminate()
	owners[owner], _, _ = serve(t, "--roles", "owner", "--node", owner, "--set", store)
	eventually(t, "the owner is back and has shards", func() bool {
		for _, r := range listShards(t, peer) {
			if r.owner == owner && r.state == "serving" {
				return true
			}
		}
		return false
	})
	if done := stop(); done < 10 {
		t.Errorf("only %d actions", done)
	}
	spoken(t, ear, "at the end")
	hears(t, "at the end")
	for _, id := range []string{"owner-1", "owner-2"} {
		owners[id].terminate()
	}
	gateway.terminate()
}

func TestDrainOfNobodyIsExplained(t *testing.T) {
	t.Parallel()
	_, _, peer := serve(t, "--node", "both", "--set", "store.kind=memory")
	for want, arguments := range map[string][]string{
		`no live process "nobody"`: {"drain", "nobody", "--peer", peer},
		"--peer names":             {"list", "--peer", "127.0.0.1:1"},
		"arg(s)":                   {"undrain", "--peer", peer},
	} {
		_, err := run("", append([]string{"shards"}, arguments...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("shards %v: %v", arguments, err)
		}
	}
}

func TestTheRedisBusCarriesTheWorldBetweenProcesses(t *testing.T) {
	t.Parallel()
	common := []string{
		"--set", "bus.kind=redis", "--set", "store.redis.addresses=" + redistest.Start(t, redisproc.Options{}).Address(),
	}
	gateway, listen, _ := serve(t, append(common, "--roles", "gateway", "--node", "gateway-1")...)
	owner, _, _ := serve(t, append(common, "--roles", "owner", "--node", "owner-1")...)
	options, hears := listener()
	ear := join(t, "http://"+listen, mint(t, testKey, "ear"), options)
	mouth := join(t, "http://"+listen, mint(t, testKey, "mouth"), starling.Options{})
	eventually(t, "they see each other", func() bool {
		_, there := ear.Entity(mouth.Session().Avatar)
		return there
	})
	spoken(t, mouth, "over Redis")
	hears(t, "over Redis")
	if status, body := fetch(t, "http://"+listen+"/metrics"); status != http.StatusOK || !strings.Contains(body, "starling_pubsub_redis_received_messages_total") {
		t.Errorf("the bus shows no metrics: %d", status)
	}
	gateway.terminate()
	owner.terminate()
}

func TestClientsOfAStoppingGatewayGoOnAtAnother(t *testing.T) {
	t.Parallel()
	store := "store.redis.addresses=" + redistest.Start(t, redisproc.Options{}).Address()
	first, listen, _ := serve(t, "--node", "first", "--set", store)
	_, other, _ := serve(t, "--node", "second", "--set", store)
	var resumed, drained sync.Once
	resumedIn, toldIn := make(chan bool, 1), make(chan struct{})
	at := "ws://" + listen + "/v1/ws"
	var mu sync.Mutex
	options := starling.Options{
		URL: func() string {
			mu.Lock()
			defer mu.Unlock()
			return at
		},
		OnSession: func(s starling.Session) {
			if s.Gateway == "second" {
				resumed.Do(func() { resumedIn <- s.Resumed })
			}
		},
		OnNotice: func(n *starlingv1.Notice) {
			if n.Kind == starlingv1.Notice_DRAINING {
				drained.Do(func() { close(toldIn) })
			}
		},
	}
	stop := steady(t, join(t, "http://"+listen, mint(t, testKey, "walker"), options))
	mu.Lock()
	at = "ws://" + other + "/v1/ws"
	mu.Unlock()
	first.terminate()
	select {
	case same := <-resumedIn:
		if !same {
			t.Error("the session was not resumed")
		}
	case <-time.After(patience):
		t.Error("the client did not come to the other gateway")
	}
	select {
	case <-toldIn:
	default:
		t.Error("the client was not told of the drain")
	}
	if done := stop(); done < 1 {
		t.Error("nothing was done")
	}
}
