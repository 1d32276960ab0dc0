package scenario_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
)

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func crowdOf(t *testing.T, s *scenario.Scenario, o scenario.Options) *scenario.Crowd {
	t.Helper()
	c, err := scenario.New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// near holds a count against a Poisson distribution: five standard deviations.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 5*math.Sqrt(want) {
		t.Errorf("%s: %v, want about %v", what, got, want)
	}
}

func TestTheSameSeedGivesTheSameCrowd(t *testing.T) {
	for _, name := range scenario.Names() {
		s := load(t, name)
		run := func(seed uint64) (actions []scenario.Action, affected [][]int32) {
			c := crowdOf(t, s, scenario.Options{Participants: 300, Rate: 3, Seed: seed})
			for range 3000 {
				a, _ := c.Next()
				expected, _ := c.Affected(&a)
				actions, affected = append(actions, a), append(affected, append([]int32(nil), expected...))
			}
			return actions, affected
		}
		a, seenA := run(5)
		b, seenB := run(5)
		other, _ := run(6)
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(seenA, seenB) {
			t.Errorf("%s: one seed gave two crowds", name)
		}
		if reflect.DeepEqual(a, other) {
			t.Errorf("%s: two seeds gave one crowd", name)
		}
	}
}

func TestRatesAndMix(t *testing.T) {
	for _, name := range scenario.Names() {
		s := load(t, name)
		s.Arrivals.Flash, s.Arrivals.On, s.Arrivals.Off = nil, 0, 0
		const people, seconds = 400, 100
		c := crowdOf(t, s, scenario.Options{Participants: people, Rate: 2, Seed: 1, Duration: seconds * time.Second})
		var all float64
		var each [people]float64
		functions := map[scenario.Function]float64{}
		for a, ok := c.Next(); ok; a, ok = c.Next() {
			all++
			each[a.Participant]++
			functions[a.Function]++
		}
		if s.Arrivals.Rate > 0 {
			near(t, name, all, 2*people*seconds)
			dispersion := 0.0
			for _, n := range each {
				dispersion += (n - 2*seconds) * (n - 2*seconds) / (2 * seconds)
			}
			if dispersion /= people; dispersion < 0.7 || dispersion > 1.4 {
				t.Errorf("%s: counts of participants have a variance of %v times their mean, a Poisson process has 1", name, dispersion)
			}
		} else if math.Abs(all/(2*people*seconds)-1) > 0.2 { // what 400 draws of lambda leave open
			t.Errorf("%s: %v actions", name, all)
		}
		others := functions[scenario.Speak] + functions[scenario.Touch] + functions[scenario.Grab] + functions[scenario.Release]
		if share := others / all; math.Abs(share/(1-s.Mix.Move)-1) > 0.2 { // how many have things is drawn
			t.Errorf("%s: %v are no moves, want %v", name, share, 1-s.Mix.Move)
		}
	}
}

func TestRatesAreDrawnFromTheRange(t *testing.T) {
	s := load(t, "street")
	for _, draw := range []string{"uniform", "log-uniform"} {
		s.Arrivals = scenario.Arrivals{RateFrom: 0.5, RateTo: 8, Draw: draw}
		const people, seconds = 2000, 60
		c := crowdOf(t, s, scenario.Options{Participants: people, Seed: 2, Duration: seconds * time.Second})
		var each [people]float64
		for a, ok := c.Next(); ok; a, ok = c.Next() {
			each[a.Participant]++
		}
		below, sum := 0.0, 0.0 // below the middle of the scale
		middle := 4.25
		if draw == "log-uniform" {
			middle = 2
		}
		for _, n := range each {
			sum += n / seconds
			if n/seconds < middle {
				below++
			}
			if n/seconds < 0.05 || n/seconds > 11 {
				t.Errorf("%s: a rate of %v", draw, n/seconds)
			}
		}
		if below < 0.42*people || below > 0.58*people {
			t.Errorf("%s: %v of %d are below the middle", draw, below, people)
		}
		if mean := sum / people; math.Abs(mean/c.Rate()-1) > 0.05 {
			t.Errorf("%s: the mean is %v, want %v", draw, mean, c.Rate())
		}
	}
}

func TestBurstsKeepTheRateAndAreBursty(t *testing.T) {
	s := load(t, "street")
	s.Arrivals = scenario.Arrivals{Rate: 1, On: scenario.Duration(2 * time.Second), Off: scenario.Duration(8 * time.Second)}
	const people, seconds = 400, 400
	c := crowdOf(t, s, scenario.Options{Participants: people, Seed: 2, Duration: seconds * time.Second})
	all, inSecond := 0.0, make([]float64, people*seconds)
	for a, ok := c.Next(); ok; a, ok = c.Next() {
		all++
		inSecond[int(a.Participant)*seconds+int(a.Due/time.Second)]++
	}
	if math.Abs(all/(people*seconds)-1) > 0.03 {
		t.Errorf("%v actions, want %d", all, people*seconds)
	}
	dispersion := 0.0
	for _, n := range inSecond {
		dispersion += (n - 1) * (n - 1)
	}
	// Within a second the state hardly changes: on (a fifth of the time) the count
	// is Poisson with mean 5, so that the variance is 5 + 25 - 1 if it never did.
	if dispersion /= people * seconds; dispersion < 3 || dispersion > 5.5 {
		t.Errorf("the variance of counts in a second is %v times their mean", dispersion)
	}
}

func TestFlashCrowd(t *testing.T) {
	s := load(t, "street")
	s.Arrivals = scenario.Arrivals{Rate: 0.1, Flash: []scenario.Flash{
		{At: scenario.Duration(20 * time.Second), Factor: 50, Rise: scenario.Duration(2 * time.Second), Hold: scenario.Duration(5 * time.Second), Fall: scenario.Duration(2 * time.Second)},
	}}
	const people = 1000
	c := crowdOf(t, s, scenario.Options{Participants: people, Seed: 2, Duration: 40 * time.Second})
	var in [40]float64
	for a, ok := c.Next(); ok; a, ok = c.Next() {
		in[a.Due/time.Second]++
	}
	for second, n := range in {
		want := 0.0
		for i := range 100 {
			want += s.Arrivals.Factor(time.Duration(second)*time.Second+time.Duration(i)*10*time.Millisecond) * 0.1 * people / 100
		}
		near(t, "second", n, want)
	}
	if near(t, "the flash", in[24], 5000); s.Arrivals.Factor(24*time.Second) != 50 || s.Arrivals.Factor(0) != 1 || s.Arrivals.Factor(time.Hour) != 1 {
		t.Error("the factor is wrong")
	}
}

// Distances from the centre have the mean and the spread that were asked for.
func TestSpreadOfClusters(t *testing.T) {
	for _, spread := range []float64{0, 0.005, 0.1, 0.3, 0.523, 1, 2} {
		s := load(t, "street")
		s.Groups = nil
		s.Clusters = []scenario.Cluster{{Name: "one", Share: 1, Centre: scenario.Point{}, MeanDistance: 100, Spread: spread}}
		const people = 40_000
		c := crowdOf(t, s, scenario.Options{Participants: people, Seed: 9})
		sum, squares := 0.0, 0.0
		for i := range people {
			e := c.Entry(i)
			d := math.Hypot(e.Lat, e.Lng) * 111195.08
			sum, squares = sum+d, squares+d*d
		}
		mean := sum / people
		sd := math.Sqrt(squares/people - mean*mean)
		if math.Abs(mean/100-1) > 0.03 || math.Abs(sd/mean-spread) > 0.01+0.1*spread {
			t.Errorf("spread %v: mean distance %v, spread %v", spread, mean, sd/mean)
		}
	}
}

func TestDensity(t *testing.T) {
	s := load(t, "pokemon-go")
	affected := func(density float64) float64 {
		f := crowdOf(t, s, scenario.Options{Participants: 4000, Seed: 1, Density: density}).Figures()
		return f.MeanAffected()
	}
	thin, plain, dense := affected(0.1), affected(1), affected(10)
	if thin >= 0.7*plain || dense <= 1.1*plain {
		t.Errorf("an action is seen by %v, %v and %v at 0.1, 1 and 10 times the density", thin, plain, dense)
	}
}

func TestChurnKeepsTheCrowd(t *testing.T) {
	s := load(t, "street")
	s.Churn = scenario.Churn{Stay: scenario.Duration(10 * time.Second)}
	s.Storms = []scenario.Storm{{At: scenario.Duration(20 * time.Second), Share: 0.4, Over: scenario.Duration(5 * time.Second)}}
	c := crowdOf(t, s, scenario.Options{Participants: 1000, Seed: 3, Duration: 40 * time.Second})
	near(t, "participants in all", float64(c.Participants()-1000), 1000*40/10+400)
	present := func(at time.Duration) (n float64) {
		for i := range c.Participants() {
			if e := c.Entry(i); e.Joins <= at && at < e.Leaves {
				n++
			}
		}
		return n
	}
	for at, want := range map[time.Duration]float64{0: 1000, 19 * time.Second: 1000, 20001 * time.Millisecond: 600, 22500 * time.Millisecond: 800, 30 * time.Second: 1000} {
		if got := present(at); math.Abs(got-want) > 60 {
			t.Errorf("after %v there are %v, want %v", at, got, want)
		}
	}
}

func TestAPartOfACrowdIsAsInTheWhole(t *testing.T) {
	s := load(t, "pokemon-go")
	east := func(h scenario.Home) bool { return h.Lng > 60 }
	o := scenario.Options{Participants: 30_000, Rate: 1, Seed: 3, Duration: 20 * time.Second}
	whole := crowdOf(t, s, o)
	want, actions := 0, 0.0
	for i := range whole.Participants() {
		if e := whole.Entry(i); e.Lng > 60 {
			want++
		}
	}
	for a, ok := whole.Next(); ok; a, ok = whole.Next() {
		if a.Pose.Lng > 60 {
			actions++
		}
	}
	o.Only = east
	part := crowdOf(t, s, o)
	if part.Participants() != want {
		t.Errorf("%d participants, want %d", part.Participants(), want)
	}
	got := 0.0
	for _, ok := part.Next(); ok; _, ok = part.Next() {
		got++
	}
	near(t, "actions", got, actions)
}

func TestWhatIsRefused(t *testing.T) {
	s := load(t, "street")
	for what, o := range map[string]scenario.Options{
		"too many": {Participants: 1 << 30}, "negative": {Participants: -1}, "rate": {Rate: -1}, "density": {Density: 1e9}, "time": {Duration: -1},
	} {
		if _, err := scenario.New(s, o); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	s.Churn.Stay = 1
	if _, err := scenario.New(s, scenario.Options{}); err == nil {
		t.Error("churn for ever: taken")
	}
	s.Groups = nil
	if _, err := scenario.New(s, scenario.Options{Duration: 1}); err == nil {
		t.Error("a crowd that is nowhere: taken")
	}
}
