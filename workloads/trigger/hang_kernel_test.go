package trigger

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/preset"
)

// A kernel of TNN_inference does not return: Close ends, says so by name, and everything
// else is undeployed.
func TestClosingWhileAKernelHangs(t *testing.T) {
	if most := runtime.GOMAXPROCS(0); most < 4 {
		runtime.GOMAXPROCS(4)
		defer runtime.GOMAXPROCS(most)
	}
	n, _, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	inside := make(chan struct{}, 1)
	s := invoke.New(invoke.Config{Workers: 1, Cores: 4})
	arena, err := stream.NewArena(64, 16)
	if err != nil {
		t.Fatal(err)
	}
	trigger, err := Deploy(s, Settings{
		Network: n, Limit: time.Second, Pace: stream.Yielding, Bound: 50 * time.Millisecond,
		Sources: []stream.Source{&stream.Schedule{Arena: arena, Rate: 1000}},
		Chain:   []Stage{{Name: "stage", Run: func(*Event) error { return nil }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := trigger.inference.Swap(&stream.Program{Version: 2, Kernels: []stream.Kernel{{Size: 1, Run: func([]stream.Ref, []stream.Decision) {
		select {
		case inside <- struct{}{}:
		default:
		}
		<-release
	}}}}); err != nil {
		t.Fatal(err)
	}
	<-inside
	var hung *stream.HungError
	if err := trigger.Close(); !errors.As(err, &hung) || hung.Function != InferenceName || !strings.Contains(err.Error(), "TNN_inference") {
		t.Errorf("%v", err)
	}
	if left := s.Accounts().Functions; len(left) != 1 || left[0].Name != InferenceName {
		t.Errorf("deployed still: %v", left)
	}
	close(release)
	for len(s.Accounts().Functions) > 0 {
		<-time.After(time.Millisecond)
	}
	if err := errors.Join(s.Close(t.Context()), arena.Close()); err != nil {
		t.Error(err)
	}
}
