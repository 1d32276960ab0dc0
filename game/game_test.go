package game_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/actions"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/game"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/invoke"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "a key of thirty-two bytes or more"

func TestAGamesOwnFunctionRunsInItsServer(t *testing.T) {
	registry := actions.NewRegistry()
	err := registry.Register(actions.Function{Name: "double", Run: func(c *actions.Call) actions.Result {
		return actions.Result{Code: starlingv1.Code_APPLIED, Bytes: append(c.Arguments(), c.Arguments()...)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- game.Serve(ctx, registry, []string{
			"--set", "listen=" + address, "--set", "store.kind=memory", "--set", "auth.key=" + key,
			"--set", "gateway.drain_time=100ms", "--set", "log.level=error",
		})
	}()
	awaitReady(t, address)

	token, err := auth.Mint([]byte(key), "ada", nil, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bound, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := starling.Dial(bound, "ws://"+address+"/v1/ws", starling.Options{
		Token: starling.StaticToken(token), Start: starling.Geographic(25.0339, 121.5645, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Act(bound, &starlingv1.Act{Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: "double", Arguments: []byte("ab")}}})
	if err != nil || string(out.Result) != "abab" {
		t.Errorf("got %q, %v", out.Result, err)
	}
	_ = c.Close()
	<-c.Done()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func awaitReady(t *testing.T, address string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 500 {
		if r, err := client.Get("http://" + address + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		<-ticker.C
	}
	t.Fatal("the server does not get ready")
}

func TestCheckTellsWhetherTheFunctionsOfTheGameHold(t *testing.T) {
	registry := actions.NewRegistry()
	err := registry.Register(actions.Function{Name: "think", Run: func(*actions.Call) actions.Result { return actions.Result{} },
		Contract: invoke.Contract{Rate: 10, Deadline: time.Second, RunTime: 100 * time.Microsecond}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(set ...string) error {
		arguments := []string{"--check", "--set", "store.kind=memory", "--set", "auth.key=" + key}
		for _, s := range set {
			arguments = append(arguments, "--set", s)
		}
		return game.Serve(t.Context(), registry, arguments)
	}
	if err := check("functions.think.rate=20"); err != nil {
		t.Error(err)
	}
	if err := check("functions.think.run_time=20ms"); err == nil || !strings.Contains(err.Error(), "longest run of think 20ms") {
		t.Errorf("a run that others cannot wait for: %v", err)
	}
}

func TestSettingsThatCannotWorkAreTold(t *testing.T) {
	for _, arguments := range [][]string{{"--set", "nonsense=1"}, {"--config", "/no/such/file"}, {"--frob"}} {
		if err := game.Serve(t.Context(), actions.NewRegistry(), arguments); err == nil {
			t.Errorf("%v was taken", arguments)
		}
	}
}
