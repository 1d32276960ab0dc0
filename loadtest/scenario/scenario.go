// Package scenario models crowds: who is where, who acts when and how, and who
// must see it. It does no I/O but reading scenario files, has no clock and takes
// all its randomness from one seed, so that a crowd can be had again, by a
// generator that sends its actions and by a planner that only reckons with them.
//
// The model is that of Nguyen, Yang and Chien, "Motivating High Performance
// Serverless Workloads", HiPS '21 (doi:10.1145/3452413.3464786), section 3: the
// arrival rate lambda of each participant, the distribution of locations L as
// clusters of 2-D Gaussians, and by it the number of participants that an action
// affects, P(L).
package scenario

import (
	"time"
)

// Scenario describes a crowd. Exactly one of Groups, Clusters and Matches says
// where people are. Files hold it in TOML: see docs/reference/scenarios.md.
type Scenario struct {
	Name         string    `toml:"-"`           // the file's, without .toml
	Description  string    `toml:"description"` // one line
	Participants int       `toml:"participants,omitempty"`
	Ring         int       `toml:"ring"` // rings of cells that each watches around its own, 0..3
	Arrivals     Arrivals  `toml:"arrivals"`
	Mix          Mix       `toml:"mix"`
	Walk         Walk      `toml:"walk"`
	Work         Labour    `toml:"work,omitempty"`
	Groups       *Groups   `toml:"groups,omitempty"`
	Matches      *Matches  `toml:"matches,omitempty"`
	Clusters     []Cluster `toml:"clusters,omitempty"`
	Churn        Churn     `toml:"churn,omitempty"`
	Storms       []Storm   `toml:"storms,omitempty"`
}

// Arrivals say when people act. lambda of each is Rate, or drawn once for each
// from RateFrom to RateTo.
type Arrivals struct {
	Rate     float64 `toml:"rate,omitempty"`      // actions per second of each
	RateFrom float64 `toml:"rate_from,omitempty"` // the least lambda
	RateTo   float64 `toml:"rate_to,omitempty"`   // the greatest
	Draw     string  `toml:"draw,omitempty"`      // "uniform" (default) or "log-uniform"

	// On and Off make arrivals bursty: a participant acts for On at a time on
	// average and is silent for Off on average, both drawn from exponential
	// distributions, and acts faster while it acts, so that lambda is kept. Both 0
	// is a Poisson process.
	On  Duration `toml:"on,omitempty"`
	Off Duration `toml:"off,omitempty"`

	Flash []Flash `toml:"flash,omitempty"`
}

// Flash multiplies everyone's rate for a while: a flash crowd.
type Flash struct {
	At     Duration `toml:"at"`             // from the start
	Factor float64  `toml:"factor"`         // of the rate, 50 for example
	Rise   Duration `toml:"rise,omitempty"` // from 1 to Factor, linearly
	Hold   Duration `toml:"hold"`           // at Factor
	Fall   Duration `toml:"fall,omitempty"` // back to 1, linearly
}

// Mix is the share of each function among the actions; together 1. A touch of
// somebody when nobody is within reach, or a grab by somebody who has nothing
// within reach, becomes a speech. A grab and the release after it count as two.
type Mix struct {
	Move   float64 `toml:"move"`
	Speak  float64 `toml:"speak,omitempty"`
	Touch  float64 `toml:"touch,omitempty"`
	Grab   float64 `toml:"grab,omitempty"`   // and release
	Work   float64 `toml:"work,omitempty"`   // the function of [work]
	Things float64 `toml:"things,omitempty"` // share of participants with a thing of their own to grab
}

// Walk says how people move between points of their cluster.
type Walk struct {
	Speed     float64  `toml:"speed"`                // metres per second, the median over people and ways
	Variation float64  `toml:"variation,omitempty"`  // standard deviation of its logarithm
	Fastest   float64  `toml:"fastest"`              // metres per second, at most 10
	Stride    float64  `toml:"stride,omitempty"`     // metres per action at most, however long ago the last was; default 20
	RestShare float64  `toml:"rest_share,omitempty"` // of arrivals at a point after which somebody stands for a while
	Rest      Duration `toml:"rest,omitempty"`       // mean, exponential
	Roam      float64  `toml:"roam,omitempty"`       // share of ways that lead to another cluster (Clusters only)
}

// Labour is F(L) as an input: an action that keeps the server's processor busy for
// Base and PerNeighbour for each participant affected.
type Labour struct {
	Base         Duration `toml:"base,omitempty"`
	PerNeighbour Duration `toml:"per_neighbour,omitempty"`
}

// Groups stand on the map, each within a cell of its own, more than two rings
// from any other group's cell: everyone in a group sees the group and nobody else.
type Groups struct {
	Size         int     `toml:"size"`                // participants of one
	Centre       Point   `toml:"centre"`              // the first shard is there
	MeanDistance float64 `toml:"mean_distance"`       // metres from the group's centre, mean
	Spread       float64 `toml:"spread"`              // standard deviation of that distance over its mean
	PerShard     int     `toml:"per_shard,omitempty"` // groups in one shard; default and most: all cells of the shard that keep the distance (49)
}

// GroupsInShard is how many groups a shard has room for: its cells that keep the
// distance, with the default shard map.
const GroupsInShard = 49

// Matches are places of their own.
type Matches struct {
	Size         int     `toml:"size"`
	Centre       Point   `toml:"centre"`        // the anchor of all places
	Extent       float64 `toml:"extent"`        // metres around the anchor
	MeanDistance float64 `toml:"mean_distance"` // as of Groups
	Spread       float64 `toml:"spread"`
}

// Cluster is one cluster of people on the map, or many alike around a town.
type Cluster struct {
	Name   string  `toml:"name"`
	Share  float64 `toml:"share"`  // of all participants; shares need not add up to 1
	Centre Point   `toml:"centre"` // of the town

	// Count clusters, or one for each People participants, lie around Centre, their
	// centres Gaussian with standard deviation Scatter (metres) along each axis.
	Count   int     `toml:"count,omitempty"`
	People  float64 `toml:"people,omitempty"`
	Scatter float64 `toml:"scatter,omitempty"`

	MeanDistance float64 `toml:"mean_distance"` // metres from the cluster's centre, mean
	Spread       float64 `toml:"spread"`        // standard deviation of that distance over its mean: 0.1..10, 0.523 a plain Gaussian

	// The cluster's centre goes round a circle of DriftRadius metres, DriftSpeed
	// metres per second: a moving hot spot, which people follow on foot.
	DriftRadius float64 `toml:"drift_radius,omitempty"`
	DriftSpeed  float64 `toml:"drift_speed,omitempty"`
}

// Churn makes people go and others come in their stead.
type Churn struct {
	Stay Duration `toml:"stay,omitempty"` // mean stay, exponential; 0 is for ever
	Gap  Duration `toml:"gap,omitempty"`  // until the next one comes in the stead of who left
}

// Storm makes a share of the crowd leave all at once and as many come anew:
// the gateway of a town went down.
type Storm struct {
	At    Duration `toml:"at"`
	Share float64  `toml:"share"` // of those present
	Over  Duration `toml:"over"`  // the new ones come within this time
}

// Point is a place on Earth.
type Point struct {
	Lat float64 `toml:"lat"` // degrees
	Lng float64 `toml:"lng"`
}

// Duration is written as text: "1m30s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText is the inverse.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Seconds is the duration in seconds.
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }
