package starling

import "time"

// clockSamples is how many round trips the filter remembers.
const clockSamples = 8

// Clock is what the client knows of the gateway's clock.
type Clock struct {
	Known     bool
	Offset    time.Duration // gateway's clock minus this client's
	RoundTrip time.Duration // of the sample that the offset is from: it is off by half of it at most
}

// clockSample is one ping and its answer, in microseconds.
type clockSample struct {
	sent, received int64 // by the client's clock
	server         int64 // by the gateway's
}

// clockFilter estimates the offset between two clocks: of the last eight round
// trips the shortest counts, half of it taken as the way there. Source: NTP's
// clock filter, RFC 5905 section 10.
type clockFilter struct {
	samples [clockSamples]clockSample
	count   int
}

func (f *clockFilter) add(s clockSample) {
	if s.received < s.sent {
		return // an answer to no ping of ours
	}
	f.samples[f.count%clockSamples] = s
	f.count++
}

func (f *clockFilter) estimate() Clock {
	if f.count == 0 {
		return Clock{}
	}
	best := f.samples[0]
	for _, s := range f.samples[1:min(f.count, clockSamples)] {
		if s.received-s.sent < best.received-best.sent {
			best = s
		}
	}
	roundTrip := best.received - best.sent
	return Clock{
		Known:     true,
		Offset:    time.Duration(best.server-best.sent-roundTrip/2) * time.Microsecond,
		RoundTrip: time.Duration(roundTrip) * time.Microsecond,
	}
}

// localClock is Unix time in microseconds that does not jump: the time of day
// when the client was made, and the monotonic clock since.
type localClock struct{ start time.Time }

func (c localClock) micros(now time.Time) int64 {
	return c.start.UnixMicro() + now.Sub(c.start).Microseconds()
}
