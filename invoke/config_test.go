package invoke_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Without workers kept for short runs, all workers take long ones.
func TestNoShortWorkersMeansNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2, ShortWorkers: -1})
		done := make(chan struct{}, 2)
		f := mustDeploy(t, s, invoke.Spec{
			Name: "long", Contract: invoke.Contract{RunTime: time.Second},
			Run: func(*invoke.Invocation) { <-time.After(time.Second); done <- struct{}{} },
		})
		if n := f.Workers(); n != 2 {
			t.Errorf("%v workers", n)
		}
		began := time.Now()
		for range 2 {
			mustSubmit(t, f, new(invoke.Invocation))
		}
		<-done
		<-done
		if took := time.Since(began); took != time.Second {
			t.Errorf("two runs of a second took %v", took)
		}
		mustClose(t, s)
	})
}
