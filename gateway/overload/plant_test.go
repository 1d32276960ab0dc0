package overload_test

import (
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/gateway/overload"
)

// step is how fine simulated time is.
const step = 500 * time.Microsecond

// plant is what stands behind the gateway: queues in which actions wait until
// their updates are handed to sockets.
type plant interface {
	// take takes an action, or refuses it.
	take(a arrival) bool
	// work does what can be done within a step, and gives what left.
	work(now time.Duration) []departure
}

type arrival struct {
	at    time.Duration
	which int
}

type departure struct {
	arrival
	age time.Duration
}

// fifo carries so many actions a second, in order, and each takes a while on top.
type fifo struct {
	capacity float64
	takes    time.Duration
	waiting  []arrival
	credit   float64
}

func (p *fifo) take(a arrival) bool {
	p.waiting = append(p.waiting, a)
	return true
}

func (p *fifo) work(now time.Duration) (left []departure) {
	each := p.capacity * step.Seconds()
	p.credit = min(p.credit+each, each+1)
	for p.credit >= 1 && len(p.waiting) > 0 {
		p.credit--
		left = append(left, departure{p.waiting[0], now - p.waiting[0].at + p.takes})
		p.waiting = p.waiting[1:]
	}
	return left
}

// bounded lets no more than so many wait.
type bounded struct {
	fifo
	most int
}

func (p *bounded) take(a arrival) bool { return len(p.waiting) < p.most && p.fifo.take(a) }

// rounds works as hubs and logs do: all that waits is done in one round, which
// takes a while by itself and more with each action. It carries the more the
// later it is, and has no queue that grows.
type rounds struct {
	each, action time.Duration
	waiting      []arrival
	round        []arrival
	ends         time.Duration
}

func (p *rounds) take(a arrival) bool {
	p.waiting = append(p.waiting, a)
	return true
}

func (p *rounds) work(now time.Duration) (left []departure) {
	if now < p.ends {
		return nil
	}
	for _, a := range p.round {
		left = append(left, departure{a, now - a.at})
	}
	p.round, p.waiting = p.waiting, p.round[:0]
	p.ends = now + p.each + time.Duration(len(p.round))*p.action
	return left
}

// standstill makes a plant stand still from time to time. Its arrivals are read
// only when it goes on.
type standstill struct {
	plant
	random *rand.Rand
	every  time.Duration // on average
	from   time.Duration // how long: evenly between these
	to     time.Duration
	until  time.Duration
	next   time.Duration
}

func (p *standstill) work(now time.Duration) []departure {
	if now >= p.next {
		p.until = now + p.from + time.Duration(p.random.Float64()*float64(p.to-p.from))
		p.next = p.until + time.Duration(p.random.ExpFloat64()*float64(p.every))
	}
	if now < p.until {
		return nil
	}
	return p.plant.work(now)
}

// participant acts at times of a Poisson process.
type participant struct {
	overload.Sender
	rate                       float64 // per second
	next                       time.Duration
	held                       time.Duration // until then it does not ask: it was told so
	offered, admitted, refused int
}

// simulation runs participants against a plant behind a limiter.
type simulation struct {
	plant     plant
	limiter   *overload.Limiter
	people    []*participant
	random    *rand.Rand
	deadline  time.Duration
	factor    func(now time.Duration) float64 // of all rates; nil: 1
	load      overload.Load
	unlimited bool // no window ends
	obedient  bool // people act again when they were told to

	now      time.Duration
	all, old uint64
	good     []int // in time, by tenths of a second
	refused  []int
	offered  []int
	longest  int // actions under way
	underway int
}

const (
	deadline = 15 * time.Millisecond
	fanout   = 8
)

// newSimulation starts when the limiter does.
func newSimulation(p plant, people []*participant, seed uint64) *simulation {
	s := &simulation{plant: p, people: people, random: rand.New(rand.NewPCG(seed, 7)), deadline: deadline,
		load: overload.Load{Known: true, Own: 0.6}}
	s.limiter = overload.New(overload.Config{Deadline: deadline,
		Ages: func() (uint64, uint64) { return s.all, s.old }, Load: func() overload.Load { return s.load }})
	s.limiter.Tick(start)
	for _, p := range people {
		p.next = s.now + time.Duration(s.random.ExpFloat64()/p.rate*float64(time.Second))
	}
	return s
}

var start = time.Unix(1_000_000, 0)

// run goes on for a while.
func (s *simulation) run(length time.Duration) {
	for end := s.now + length; s.now < end; {
		s.now += step
		tenth := int((s.now - 1) / (100 * time.Millisecond))
		for len(s.good) <= tenth {
			s.good, s.refused, s.offered = append(s.good, 0), append(s.refused, 0), append(s.offered, 0)
		}
		factor := 1.0
		if s.factor != nil {
			factor = s.factor(s.now)
		}
		for i, p := range s.people {
			for p.next <= s.now {
				s.act(i, p, tenth)
				p.next += time.Duration(s.random.ExpFloat64() / (p.rate * factor) * float64(time.Second))
			}
		}
		for _, d := range s.plant.work(s.now) {
			s.limiter.Done(uint64(d.which))
			s.underway--
			s.all += fanout
			if d.age > s.deadline*3/4 {
				s.old += fanout
			}
			if d.age <= s.deadline {
				s.good[tenth]++
			}
		}
		if !s.unlimited && s.now%overload.WindowTime == 0 {
			s.limiter.Tick(start.Add(s.now))
		}
	}
}

func (s *simulation) act(i int, p *participant, tenth int) {
	p.offered++
	s.offered[tenth]++
	if s.obedient && s.now < p.held {
		return
	}
	after, ok := s.limiter.Admit(&p.Sender, uint64(i), start.Add(s.now))
	if !ok {
		if after <= 0 {
			panic("a refusal without a time to come back")
		}
		p.refused++
		s.refused[tenth]++
		p.held = s.now + after
		return
	}
	p.admitted++
	if !s.plant.take(arrival{s.now, i}) {
		s.limiter.Dropped(uint64(i), 1)
		return
	}
	s.underway++
	s.longest = max(s.longest, s.underway)
}

// goodput is actions per second in time, between two times.
func (s *simulation) goodput(from, to time.Duration) float64 {
	return float64(sum(s.good, from, to)) / (to - from).Seconds()
}

func (s *simulation) refusedPart(from, to time.Duration) float64 {
	return float64(sum(s.refused, from, to)) / max(1, float64(sum(s.offered, from, to)))
}

func sum(tenths []int, from, to time.Duration) (n int) {
	for i := from / (100 * time.Millisecond); i < to/(100*time.Millisecond); i++ {
		n += tenths[i]
	}
	return n
}

func crowd(n int, rate float64) (all []*participant) {
	for range n {
		all = append(all, &participant{rate: rate})
	}
	return all
}

// warming is a plant that is slow at first.
type warming struct {
	fifo
	until time.Duration
	then  float64
}

func (p *warming) work(now time.Duration) []departure {
	if now >= p.until {
		p.capacity = p.then
	}
	return p.fifo.work(now)
}
