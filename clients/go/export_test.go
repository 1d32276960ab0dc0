package starling

import (
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// ClockSample is one sample of the conformance script.
type ClockSample struct {
	Sent     int64 `json:"sent_us"`
	Server   int64 `json:"server_us"`
	Received int64 `json:"received_us"`
}

// EstimateClock feeds samples to a fresh filter.
func EstimateClock(samples []ClockSample) Clock {
	var f clockFilter
	for _, s := range samples {
		f.add(clockSample{sent: s.Sent, server: s.Server, received: s.Received})
	}
	return f.estimate()
}

// Track is a track for the conformance script.
type Track struct{ track track }

// Add appends a sample.
func (t *Track) Add(at time.Time, pose *starlingv1.Pose) { t.track.add(trackSample{at, pose}) }

// At evaluates it.
func (t *Track) At(at time.Time) *starlingv1.Pose { return t.track.at(at) }
