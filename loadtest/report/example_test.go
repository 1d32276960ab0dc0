package report

import (
	"math"
	"math/rand/v2"
	"time"
)

// sample makes up the result of a run at a rate of actions, near the limit of
// its server if heat is near 1.
func sample(seed uint64, rate, heat float64) Run {
	random := rand.New(rand.NewPCG(seed, 7))
	r := Run{
		Starling: "0.1.0-dev", Started: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), Command: "starling loadtest crowd --self --scenario street --report out",
		Target: "self", Seed: seed, Scenario: "street", Store: "redis", Durability: "disk", Owners: 1,
		Participants: 400, DeadlineMS: 15, WarmupS: 3, DurationS: 12,
		Model: Model{
			RatePerParticipant: rate / 400, Arrivals: "poisson", Groups: 50, GroupSize: 8, Density: 8, Ring: 1,
			Mix: map[string]float64{"move": 0.9, "speak": 0.05, "touch": 0.03, "grab": 0.02},
		},
		Cells: 63, Shards: 50, CellCrossings: 231, ShardCrossings: 24, BytesReceived: 91_000_000, BytesSent: 8_300_000,
		Machine:        Machine{CPU: "AMD EPYC", Cores: 2, MemoryBytes: 24 << 30, OS: "linux/amd64", Kernel: "6.12", Virtual: true, Go: "go1.26.0", CongestionControl: "bbr", LoadAverage: 0.31},
		RefusalsByCode: map[string]int64{},
	}
	h := &r.Histograms
	h.LatencyUS, h.OutcomeUS, h.GapUS, h.LagUS, h.Affected, h.RefusedPPM = NewHistogram(), NewHistogram(), NewHistogram(), NewHistogram(), NewHistogram(), NewHistogram()
	server := Server{RSSStartBytes: 180 << 20, RSSBytes: 236 << 20}
	storeCPU, used, reserved, others := 0.1, 0.0052, 0.61, 0.4
	server.StoreCPUS, r.UsedGBS, r.ReservedGBS, r.Machine.OthersCPUS = &storeCPU, &used, &reserved, &others
	byAffected := map[int]*Work{}
	for second := range int(r.DurationS) {
		s := sampleSecond(random, &r, byAffected, rate, heat)
		s.At = float64(second + 1)
		r.Series = append(r.Series, s)
		r.Counts.Add(s.Counts)
		server.CPUS += *s.ServerCPUS
		r.Generator.CPUS += s.GeneratorCPUS
	}
	for _, w := range byAffected {
		r.Work = mergeWork(r.Work, []Work{*w})
	}
	r.Server = &server
	for range r.Participants {
		h.RefusedPPM.Record(int64(1e6 * share(r.Refused, r.Offered) * random.Float64() * 2))
	}
	r.Derive()
	return r
}

func sampleSecond(random *rand.Rand, r *Run, byAffected map[int]*Work, rate, heat float64) (s Second) {
	h := &r.Histograms
	latencies := NewHistogram()
	hiccup := 1 + 3*math.Pow(random.Float64(), 8)
	for range int(rate * (0.97 + 0.06*random.Float64())) {
		s.Offered++
		affected := 1 + int(math.Abs(random.NormFloat64()*3+7))
		h.Affected.Record(int64(affected))
		h.LagUS.Record(int64(120 * random.ExpFloat64()))
		w := byAffected[affected]
		if w == nil {
			w = &Work{From: affected, To: affected}
			byAffected[affected] = w
		}
		w.Actions++
		s.DeliveriesExpected += int64(affected)
		if random.Float64() < (heat-0.8)*0.05 {
			s.Refused++
			s.ActionsMissed++
			s.ActionsMissed30MS++
			s.DeliveriesMissed += int64(affected)
			s.DeliveriesMissed30MS += int64(affected)
			r.RefusalsByCode["OVERLOADED"]++
			continue
		}
		s.Achieved++
		s.Admitted++
		first := 1500 + 2500*random.ExpFloat64()*heat*hiccup
		h.OutcomeUS.Record(int64(first))
		late, late30, total := int64(0), int64(0), 0.0
		for range affected {
			us := first + 600*random.ExpFloat64()
			total += us
			latencies.Record(int64(us))
			h.GapUS.Record(int64(33_000 * random.ExpFloat64()))
			if us > 15000 {
				late++
			}
			if us > 30000 {
				late30++
			}
		}
		s.DeliveriesReceived += int64(affected)
		s.DeliveriesConflated += int64(random.IntN(2))
		s.DeliveriesMissed += late
		s.DeliveriesMissed30MS += late30
		w.Seen++
		w.LatencyUS += int64(total) / int64(affected)
		if late == 0 {
			s.Goodput++
		} else {
			s.ActionsMissed++
			w.Missed++
		}
		if late30 > 0 {
			s.ActionsMissed30MS++
		}
	}
	h.LatencyUS.Add(latencies)
	s.Latencies(latencies)
	cpu, rss := float64(s.Achieved)*70e-6*(0.95+0.1*random.Float64()), int64(200<<20+random.IntN(30<<20))
	s.ServerCPUS, s.ServerRSSBytes, s.Connected, s.GeneratorCPUS = &cpu, &rss, r.Participants, cpu*0.6
	s.LagP99MS = 0.4 + random.Float64()
	return s
}
