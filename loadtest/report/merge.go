package report

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Merge sums runs of the same scenario up: counts, histograms and processor
// seconds are added, the largest memory is kept, and all rates and quantiles
// computed anew. Rates are means over the time of all runs together. The
// series of one second after another are put one behind the other.
// The runs must agree in scenario, deadline, backend, store and durability.
func Merge(runs ...Run) (Run, error) {
	if len(runs) == 0 {
		return Run{}, errors.New("no runs to merge")
	}
	all := runs[0].clone()
	for i := range runs[1:] {
		r := &runs[i+1]
		if err := all.alike(r); err != nil {
			return Run{}, err
		}
		all.merge(r)
	}
	all.Derive()
	return all, nil
}

// alike says in what two runs differ that are to be merged.
func (r *Run) alike(other *Run) error {
	for _, field := range []struct {
		name string
		a, b any
	}{
		{"scenario", r.Scenario, other.Scenario},
		{"deadline_ms", r.DeadlineMS, other.DeadlineMS},
		{"backend", r.Backend, other.Backend},
		{"wait_ms", r.WaitMS, other.WaitMS},
		{"store", r.Store, other.Store},
		{"durability", r.Durability, other.Durability},
	} {
		if field.a != field.b {
			return fmt.Errorf("runs of different %s do not merge: %v and %v", field.name, field.a, field.b)
		}
	}
	return nil
}

// clone copies what merge changes.
func (r *Run) clone() Run {
	c := *r
	if len(c.Seeds) == 0 {
		c.Seeds = []uint64{c.Seed}
	}
	c.Seeds = slices.Clone(c.Seeds)
	c.RefusalsByCode = maps.Clone(r.RefusalsByCode)
	if c.RefusalsByCode == nil {
		c.RefusalsByCode = map[string]int64{}
	}
	c.Work, c.Series, c.Notes = slices.Clone(r.Work), slices.Clone(r.Series), slices.Clone(r.Notes)
	if r.Server != nil {
		server := *r.Server
		c.Server = &server
	}
	if r.Nearest != nil {
		nearest := *r.Nearest
		c.Nearest = &nearest
	}
	h := r.Histograms
	c.Histograms = Histograms{
		LatencyUS: h.LatencyUS.Clone(), OutcomeUS: h.OutcomeUS.Clone(), GapUS: h.GapUS.Clone(),
		LagUS: h.LagUS.Clone(), Affected: h.Affected.Clone(), RefusedPPM: h.RefusedPPM.Clone(),
		NearestUS: h.NearestUS.Clone(),
	}
	return c
}

func (r *Run) merge(other *Run) {
	r.Runs = max(r.Runs, 1) + max(other.Runs, 1)
	if len(other.Seeds) > 0 {
		r.Seeds = append(r.Seeds, other.Seeds...)
	} else {
		r.Seeds = append(r.Seeds, other.Seed)
	}
	r.series(other)
	if other.Started.Before(r.Started) {
		r.Started = other.Started
	}
	r.DurationS += other.DurationS
	r.Counts.Add(other.Counts)
	r.CellCrossings += other.CellCrossings
	r.ShardCrossings += other.ShardCrossings
	r.BytesReceived += other.BytesReceived
	r.BytesSent += other.BytesSent
	r.Reconnects += other.Reconnects
	r.Participants = max(r.Participants, other.Participants)
	r.Cells, r.Shards, r.Owners = max(r.Cells, other.Cells), max(r.Shards, other.Shards), max(r.Owners, other.Owners)
	for code, n := range other.RefusalsByCode {
		r.RefusalsByCode[code] += n
	}
	r.resources(other)
	r.Histograms.add(&other.Histograms)
	r.nearest(other.Nearest)
	r.measure(other.Yardstick)
	r.Work = mergeWork(r.Work, other.Work)
	r.remarks(other)
}

func (r *Run) nearest(other *Nearest) {
	switch {
	case other == nil:
	case r.Nearest == nil:
		both := *other
		r.Nearest = &both
	default:
		r.Nearest.Add(other.NearestCounts)
	}
}

// series puts the other's seconds behind ours.
func (r *Run) series(other *Run) {
	for _, s := range other.Series {
		s.At += r.DurationS
		r.Series = append(r.Series, s)
	}
}

func (r *Run) resources(other *Run) {
	r.Generator.CPUS += other.Generator.CPUS
	r.Generator.LagP50MS = max(r.Generator.LagP50MS, other.Generator.LagP50MS)
	r.Generator.LagP99MS = max(r.Generator.LagP99MS, other.Generator.LagP99MS)
	r.Generator.LagMaxMS = max(r.Generator.LagMaxMS, other.Generator.LagMaxMS)
	r.UsedGBS, r.ReservedGBS = sum(r.UsedGBS, other.UsedGBS), sum(r.ReservedGBS, other.ReservedGBS)
	for class, usage := range other.UsageByClass {
		r.AddClass(class, usage)
	}
	m := &r.Machine
	m.LoadAverage = max(m.LoadAverage, other.Machine.LoadAverage)
	m.OthersCPUS, m.StolenCPUS = sum(m.OthersCPUS, other.Machine.OthersCPUS), sum(m.StolenCPUS, other.Machine.StolenCPUS)
	if r.Server == nil || other.Server == nil {
		r.Server = nil // a sum over some of the runs would be one over none
		return
	}
	r.Server.CPUS += other.Server.CPUS
	r.Server.StoreCPUS = sum(r.Server.StoreCPUS, other.Server.StoreCPUS)
	r.Server.RSSBytes = max(r.Server.RSSBytes, other.Server.RSSBytes)
	r.Server.RSSStartBytes = max(r.Server.RSSStartBytes, other.Server.RSSStartBytes)
}

// sum of two figures is known if both are.
func sum(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	both := *a + *b
	return &both
}

func (r *Run) remarks(other *Run) {
	if other.GeneratorLimited && !r.GeneratorLimited {
		r.GeneratorLimited, r.GeneratorLimitedWhy = true, other.GeneratorLimitedWhy
	}
	for _, note := range other.Notes {
		if !slices.Contains(r.Notes, note) {
			r.Notes = append(r.Notes, note)
		}
	}
}

func (h *Histograms) add(other *Histograms) {
	for _, pair := range []struct {
		into **Histogram
		from *Histogram
	}{
		{&h.LatencyUS, other.LatencyUS}, {&h.OutcomeUS, other.OutcomeUS}, {&h.GapUS, other.GapUS},
		{&h.LagUS, other.LagUS}, {&h.Affected, other.Affected}, {&h.RefusedPPM, other.RefusedPPM},
		{&h.NearestUS, other.NearestUS},
	} {
		if *pair.into == nil {
			*pair.into = pair.from.Clone()
			continue
		}
		(*pair.into).Add(pair.from)
	}
}

// mergeWork adds up what has the same bounds.
func mergeWork(a, b []Work) []Work {
	for _, w := range b {
		at := slices.IndexFunc(a, func(x Work) bool { return x.From == w.From && x.To == w.To })
		if at < 0 {
			a = append(a, w)
			continue
		}
		a[at].Actions += w.Actions
		a[at].Missed += w.Missed
		a[at].LatencyUS += w.LatencyUS
		a[at].Seen += w.Seen
	}
	slices.SortFunc(a, func(x, y Work) int { return x.From - y.From })
	return a
}
