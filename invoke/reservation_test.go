package invoke_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
	"pgregory.net/rapid"
)

func short(name string, rate float64) invoke.Spec {
	return invoke.Spec{
		Name:     name,
		Contract: invoke.Contract{Rate: rate, Burst: 1, Deadline: 4 * time.Millisecond, RunTime: 100 * time.Microsecond},
		Run:      func(*invoke.Invocation) {},
		Refused:  func(*invoke.Invocation, *invoke.Refusal) {},
	}
}

// A poller that owns a core leaves the workers that much less to promise.
func TestWhatIsReservedIsNotPromisedTwice(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 2})
	defer s.Close(context.Background())
	poller, err := s.Reserve(invoke.Reserve{Name: "trigger", Shape: invoke.Stream, Cores: 1,
		Contract: invoke.Contract{Rate: 1e5, Deadline: 3 * time.Microsecond, Memory: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	var refused *invoke.NotAdmittedError
	if _, err = s.Deploy(short("a", 7000)); !errors.As(err, &refused) || !strings.Contains(err.Error(),
		"cores: a 7000/s x 100µs + trigger 1 = 1.7 cores > 1.6 (2 workers x 0.8 reservable)") {
		t.Fatal(err)
	}
	if _, err := s.Deploy(short("a", 5000)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Reserve(invoke.Reserve{Name: "second", Shape: invoke.Stream, Cores: 0.2})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "second 0.2 = 1.7 cores") {
		t.Fatal(err)
	}
	if _, err = s.Reserve(invoke.Reserve{Name: "a", Cores: 0.01}); !errors.As(err, &refused) {
		t.Fatal("a name was given twice:", err)
	}
	poller.Release()
	if _, err := s.Deploy(short("b", 7000)); err != nil {
		t.Fatal("what was released is still kept:", err)
	}
}

// The burst test reckons with the cores that the workers are left with.
func TestBurstsAreHeldOnTheCoresThatAreLeft(t *testing.T) {
	p := invoke.NewPolicy(invoke.Config{Workers: 2, Reservable: 1}, 1)
	spec := invoke.Spec{Name: "burst", Contract: invoke.Contract{
		Rate: 1000, Burst: 60, Deadline: 4 * time.Millisecond, RunTime: 100 * time.Microsecond}}
	if _, err := p.Deploy(1, spec); err != nil { // 6 ms of work in 2 x 3.65 ms
		t.Fatal(err)
	}
	_, err := p.Reserve(1, invoke.Reserve{Name: "poller", Shape: invoke.Stream, Cores: 0.5})
	if err == nil || !strings.Contains(err.Error(), "2 workers, of which 1.5 have a core: 2 - poller 0.5") {
		t.Fatal(err)
	}
	if shortages := p.Overcommitted(); len(shortages) > 0 {
		t.Fatal("what was refused is kept:", shortages)
	}
}

func TestAccountsOfOtherShapesStandBesideTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2, Memory: 1e9})
		defer s.Close(context.Background())
		reserve := invoke.Reserve{Name: "graph", Shape: invoke.Workflow, Runs: 2,
			Contract: invoke.Contract{Rate: 10, Deadline: time.Second, RunTime: 10 * time.Millisecond, Memory: 1e8},
			Account: func() invoke.Account {
				a := invoke.Account{Invocations: 5, Submitted: 7, Busy: 2 * time.Second}
				a.Refusals[invoke.Shed] = 2
				return a
			}}
		graph, err := s.Reserve(reserve)
		if err != nil {
			t.Fatal(err)
		}
		part, err := s.Reserve(invoke.Reserve{Name: "graph.parse", PartOf: "graph", Contract: reserve.Contract, Account: reserve.Account})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reserve(invoke.Reserve{Name: "large", Runs: 9, Contract: invoke.Contract{Memory: 1e8}}); err == nil ||
			!strings.Contains(err.Error(), "graph 100000000 B x 2 + large 100000000 B x 9 = 1100000000 B > budget 1000000000 B") {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		check := func(accounts *invoke.Accounts) {
			t.Helper()
			class := accounts.Classes[invoke.Soft]
			if class.Invocations != 5 || math.Abs(class.Used-0.2) > 1e-9 || math.Abs(class.ReservedMemory-2) > 1e-9 ||
				math.Abs(class.ReservedCores-1) > 1e-9 {
				t.Errorf("the class has %+v", class)
			}
		}
		accounts := s.Accounts()
		check(accounts)
		if len(accounts.Functions) != 2 || accounts.Functions[0].Shape != invoke.Workflow || accounts.Functions[1].PartOf != "graph" ||
			accounts.Functions[0].QueueTime == nil || accounts.Functions[0].Refused() != 2 || accounts.Functions[1].ReservedCores != 0 {
			t.Errorf("accounts: %+v", accounts.Functions)
		}
		part.Release()
		graph.Release()
		graph.Release()
		<-time.After(time.Second)
		check(s.Accounts()) // its class remembers
	})
}

// Whatever is admitted in whatever order, the sum of what is kept fits.
func TestReservationsNeverExceedTheMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 4).Draw(t, "cores")
		p := invoke.NewPolicy(invoke.Config{Workers: rapid.IntRange(1, 4).Draw(t, "workers"), Cores: cores}, 1)
		type keeps struct {
			cores       float64
			reservation *invoke.Reservation // nil: a function
		}
		var kept []keeps
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			name := string(rune('a' + i))
			want := float64(rapid.IntRange(1, 30).Draw(t, "tenths")) / 10
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				if r, err := p.Reserve(1, invoke.Reserve{Name: name, Shape: invoke.Stream, Cores: want}); err == nil {
					kept = append(kept, keeps{want, r})
				}
			case 1:
				contract := invoke.Contract{Rate: want * 1000, Burst: 1, Deadline: time.Second, RunTime: time.Millisecond}
				if _, err := p.Deploy(1, invoke.Spec{Name: name, Contract: contract}); err == nil {
					kept = append(kept, keeps{want, nil})
				}
			case 2:
				for i, k := range kept {
					if k.reservation != nil {
						p.Release(1, k.reservation)
						kept = append(kept[:i], kept[i+1:]...)
						break
					}
				}
			}
			total := 0.0
			for _, k := range kept {
				total += k.cores
			}
			if total > float64(cores)*0.8+1e-9 {
				t.Fatalf("%v cores kept of %d", total, cores)
			}
			if shortages := p.Overcommitted(); len(shortages) > 0 {
				t.Fatal(shortages)
			}
		}
	})
}
