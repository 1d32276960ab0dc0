package directory

import "time"

// judge decides which processes are alive, from what successive readings of the
// table showed. It is a pure state machine: times are durations of the
// watcher's monotonic clock, handed in.
type judge struct {
	death time.Duration // the same counter for so long: dead
	gap   time.Duration // a longer time without a reading starts the watch again
	own   string

	nodes map[string]*sighting
	first time.Duration // when the present run of readings began (its first answer)
	last  time.Duration // when the last reading was sent
	any   bool
}

// sighting is what is known of one process.
type sighting struct {
	record *Record
	since  time.Duration // when a reading that showed this counter was first answered
	absent bool          // the last reading did not show it
	dead   bool
}

func newJudge(own string, death, gap time.Duration) *judge {
	return &judge{death: death, gap: gap, own: own, nodes: map[string]*sighting{}}
}

// read takes a reading of the table that was sent at sent and answered at
// answered.
//
// A reading shows the table at some instant between the two. A counter that was
// there by since and is still the last one in a reading sent at since+death was
// not renewed for at least death. Readings that fail say nothing; when none
// succeeded for gap, the store may have been away for the renewals as well, so
// that all get their time anew: a store that does not answer makes nobody dead.
func (j *judge) read(sent, answered time.Duration, records []*Record) {
	if !j.any || sent-j.last > j.gap {
		j.any, j.first = true, answered
		for _, s := range j.nodes {
			if !s.dead {
				s.since = answered
			}
		}
	}
	j.last = sent
	for _, s := range j.nodes {
		s.absent = true
	}
	for _, r := range records {
		s := j.nodes[r.ID]
		if s == nil {
			j.nodes[r.ID] = &sighting{record: r, since: answered, dead: r.Left}
			continue
		}
		s.absent = false
		// A lower counter of the same incarnation is what a store that went
		// backwards shows: no sign of life.
		if r.Incarnation == s.record.Incarnation && r.Counter <= s.record.Counter {
			continue
		}
		s.record, s.since, s.dead = r, answered, r.Left
	}
	for id, s := range j.nodes {
		if !s.dead && id != j.own && sent-s.since >= j.death {
			s.dead = true
		}
	}
}

// absentAreDead says whether processes without a record are dead: only once the
// readings span death, because the store may have lost the record of one that
// will write again.
func (j *judge) absentAreDead(complete bool) bool {
	return j.any && (complete || j.last-j.first >= j.death)
}

// forget drops what is known of a dead process.
// nextDeath is when the next process is dead if its counter stays as it was
// last seen: a time after tried and before latest, or latest.
func (j *judge) nextDeath(tried, latest time.Duration) time.Duration {
	for id, s := range j.nodes {
		if at := s.since + j.death; !s.dead && id != j.own && at > tried {
			latest = min(latest, at)
		}
	}
	return latest
}

func (j *judge) forget(id string) { delete(j.nodes, id) }
