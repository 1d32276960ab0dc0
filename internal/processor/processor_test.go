package processor_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/processor"
)

// What is used grows while this process computes, and tells milliseconds apart.
func TestTimeGrowsWithWork(t *testing.T) {
	before, ok := processor.Time()
	if !ok {
		if runtime.GOOS == "linux" {
			t.Error("Linux tells")
		}
		return
	}
	for used := before; used < before+5*time.Millisecond; {
		now, ok := processor.Time()
		if !ok || now < used {
			t.Fatalf("%v after %v, %v", now, used, ok)
		}
		used = now
	}
}
