package invoke_test

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-vr/starling/invoke"
)

func Example() {
	s := invoke.New(invoke.Config{Workers: 2})
	shards := s.Keys("shards", invoke.KeyOptions{})
	move, err := s.Deploy(invoke.Spec{
		Name: "move",
		Contract: invoke.Contract{
			Rate: 5000, Deadline: 4 * time.Millisecond, RunTime: 20 * time.Microsecond, MissTarget: 0.01,
		},
		Keys:    shards,
		Run:     func(inv *invoke.Invocation) { fmt.Println(inv.Payload, "in", inv.Key.Value()) },
		Refused: func(inv *invoke.Invocation, r *invoke.Refusal) { fmt.Println(inv.Payload, r) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	shard := shards.Open("shard 7")
	for _, step := range []string{"one step", "another"} {
		if err := move.Submit(&invoke.Invocation{Key: shard, Sender: 1, Payload: step}); err != nil {
			fmt.Println(err)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// one step in shard 7
	// another in shard 7
}

func ExampleNotAdmittedError() {
	s := invoke.New(invoke.Config{Workers: 2})
	defer s.Close(context.Background())
	_, err := s.Deploy(invoke.Spec{
		Name:     "encode",
		Contract: invoke.Contract{Rate: 20, Burst: 2, Deadline: 200 * time.Millisecond, RunTime: 50 * time.Millisecond},
		Run:      func(*invoke.Invocation) {},
		Refused:  func(*invoke.Invocation, *invoke.Refusal) {},
	})
	fmt.Println(err)
	// Output:
	// function encode not admitted: long_workers: encode 20/s x 50ms = 1 cores > 0.8 (1 of 2 workers take runs longer than 1ms x 0.8 reservable)
}
