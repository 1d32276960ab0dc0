package actions_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/builtin"
	"github.com/starling-vr/starling/invoke"
)

func TestTheContractsOfTheBuiltInFunctionsHoldOnAnyMachine(t *testing.T) {
	registry := actions.NewRegistry()
	for _, workers := range []int{1, 2, 3, 8, 64} {
		if err := registry.Admit(invoke.Config{Workers: workers}); err != nil {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
	for _, f := range builtin.All() {
		c, found := registry.Contract(f.Name, 2)
		if !found || c.Rate == 0 || c.Deadline != actions.DefaultDeadline || c.RunTime == 0 || c.MissTarget == 0 {
			t.Errorf("%s has the contract %+v", f.Name, c)
		}
	}
	one, _ := registry.Contract("move", 1)
	if two, _ := registry.Contract("move", 2); two.Rate != 2*one.Rate || two.Burst != 2*one.Burst {
		t.Errorf("%+v on one worker, %+v on two", one, two)
	}
}

func TestTheReferenceTellsTheContracts(t *testing.T) {
	page, err := os.ReadFile("../docs/reference/functions.md")
	if err != nil {
		t.Fatal(err)
	}
	registry := actions.NewRegistry()
	positive := func(n float64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n) + " "
	}
	for _, name := range registry.Contracted() {
		c, _ := registry.Contract(name, 1)
		row := fmt.Sprintf("| `%s` | %s| %s| %v |\n", name, positive(c.Rate), positive(float64(c.Burst)), c.RunTime)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/reference/functions.md lacks %s", row)
		}
	}
}

func TestAGameFindsRoomBesideTheBuiltInFunctions(t *testing.T) {
	register := func(contract invoke.Contract) error {
		registry := actions.NewRegistry()
		err := registry.Register(actions.Function{Name: "tag", Contract: contract, Run: func(*actions.Call) actions.Result { return actions.Result{} }})
		if err != nil {
			t.Fatal(err)
		}
		return registry.Admit(invoke.Config{Workers: 1})
	}
	contract := invoke.Contract{Rate: 2000, RunTime: 50 * time.Microsecond, Deadline: 4 * time.Millisecond}
	if err := register(contract); err != nil {
		t.Error(err)
	}
	var short *invoke.NotAdmittedError
	contract.Rate = 20_000
	if err := register(contract); !errors.As(err, &short) || short.Function != "tag" || short.Shortages[0].Resource != "cores" {
		t.Errorf("got %v", err)
	}
	contract.Rate, contract.RunTime = 10, 4*time.Millisecond // everything else in its shard would wait for that
	if err := register(contract); !errors.As(err, &short) || short.Shortages[0].Resource != "deadline" {
		t.Errorf("got %v", err)
	}
}

func TestOwnWorkIsNoFunction(t *testing.T) {
	registry := actions.NewRegistry()
	err := registry.Register(actions.Function{Name: actions.ShardWork, Run: func(*actions.Call) actions.Result { return actions.Result{} }})
	if err == nil {
		t.Error("a game took the name of the shards' own work")
	}
	if err := registry.SetContract("nothing", invoke.Contract{}); err == nil {
		t.Error("a contract for nothing")
	}
	if err := registry.SetContract(actions.ShardWork, invoke.Contract{}); err != nil {
		t.Error(err)
	}
}
