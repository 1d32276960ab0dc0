package starling

import (
	"errors"
	"fmt"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Guards against clients that are sent away and then wait out a pause besides,
// longer each time that another gateway restarts.
func TestWhoIsSentAwayComesBackAtOnce(t *testing.T) {
	b := Options{}.withDefaults().Reconnect
	away := &CloseError{Code: starlingv1.CloseCode_GOING_AWAY, Reason: "reconnect in 0.00s: the gateway is going away"}
	for _, err := range []error{errDraining, away, fmt.Errorf("resuming: %w", away)} {
		if !sentAway(err) || b.pause(err, 1) != 0 {
			t.Errorf("%v: sent away %v, pause %v", err, sentAway(err), b.pause(err, 1))
		}
	}
	// One that keeps saying so is not asked without end.
	if pause := b.pause(away, 4); pause < b.First {
		t.Errorf("turned away four times: %v", pause)
	}
	for _, err := range []error{errSilent, &CloseError{Code: starlingv1.CloseCode_UNREACHABLE, Reason: "reconnect in 1s: x"}} {
		if sentAway(err) || b.pause(err, 1) == 0 {
			t.Errorf("%v: sent away %v, pause %v", err, sentAway(err), b.pause(err, 1))
		}
	}
	far := &CloseError{Code: starlingv1.CloseCode_GOING_AWAY, Reason: "reconnect in 2s: the gateway stops"}
	if pause := b.pause(far, 1); pause < 2*time.Second || pause > 3*time.Second || errors.Is(far, errDraining) {
		t.Errorf("asked to wait 2 s: %v", pause)
	}
}
