package directory

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func records(counters map[string]uint64) []*Record {
	var list []*Record
	for id, c := range counters {
		list = append(list, &Record{ID: id, Incarnation: 1, Counter: c})
	}
	return list
}

func testJudge() *judge { return newJudge("self", 1500*ms, 750*ms) }

// Reads each 250 ms from start on; says at which reading "a" was found dead, 0
// if never.
func readUntilDead(j *judge, start, end time.Duration, list func(at time.Duration) []*Record) time.Duration {
	for at := start; at <= end; at += 250 * ms {
		j.read(at, at+ms, list(at))
		if s := j.nodes["a"]; s != nil && s.dead {
			return at
		}
	}
	return 0
}

func TestStillCounterIsDeath(t *testing.T) {
	j := testJudge()
	died := readUntilDead(j, 0, 10*time.Second, func(time.Duration) []*Record { return records(map[string]uint64{"a": 7}) })
	if died != 1750*ms {
		t.Errorf("dead at %v, want in the first reading sent 1.5 s after the answer that showed the counter: 1.75 s", died)
	}
	j.read(3*time.Second, 3*time.Second, records(map[string]uint64{"a": 8}))
	if j.nodes["a"].dead {
		t.Error("a new counter is a sign of life")
	}
}

func TestLowerCounterIsNoSignOfLife(t *testing.T) {
	j := testJudge()
	died := readUntilDead(j, 0, 10*time.Second, func(at time.Duration) []*Record {
		if at > 500*ms {
			return records(map[string]uint64{"a": 6}) // the store went backwards
		}
		return records(map[string]uint64{"a": 7})
	})
	if died != 1750*ms {
		t.Errorf("dead at %v, want 1.75 s", died)
	}
}

func TestSilentStoreKillsNobody(t *testing.T) {
	j := testJudge()
	j.read(0, ms, records(map[string]uint64{"a": 7, "b": 1}))
	// Nothing for a minute; then the store is back, with counters that could
	// not move meanwhile.
	back := time.Minute
	j.read(back, back+ms, records(map[string]uint64{"a": 7, "b": 1}))
	if j.nodes["a"].dead || j.nodes["b"].dead {
		t.Fatal("a store that did not answer made somebody dead")
	}
	died := readUntilDead(j, back+250*ms, back+time.Minute, func(time.Duration) []*Record { return records(map[string]uint64{"a": 7, "b": 1}) })
	if died != back+1750*ms {
		t.Errorf("dead at %v, want a whole period after the store came back", died-back)
	}
}

func TestLostRecordIsNoDeathByItself(t *testing.T) {
	j := testJudge()
	j.read(0, ms, records(map[string]uint64{"a": 7}))
	j.read(250*ms, 251*ms, nil)
	if j.nodes["a"].dead {
		t.Error("a record that is gone makes nobody dead at once")
	}
	if died := readUntilDead(j, 500*ms, 5*time.Second, func(time.Duration) []*Record { return nil }); died != 1750*ms {
		t.Errorf("dead at %v, want 1.75 s", died)
	}
}

func TestLeftIsDeadAtOnce(t *testing.T) {
	j := testJudge()
	j.read(0, ms, records(map[string]uint64{"a": 7}))
	j.read(250*ms, 251*ms, []*Record{{ID: "a", Incarnation: 1, Counter: 8, Left: true}})
	if !j.nodes["a"].dead {
		t.Error("who said that it left is gone")
	}
}

func TestUnknownProcessesAreDeadOnlyAfterWatching(t *testing.T) {
	j := testJudge()
	for at := time.Duration(0); at <= 1250*ms; at += 250 * ms {
		j.read(at, at+ms, nil)
		if j.absentAreDead(false) {
			t.Fatalf("after watching for %v only", at)
		}
	}
	if !j.absentAreDead(true) {
		t.Error("a complete store knows at once")
	}
	for at := 1500 * ms; at <= 1750*ms; at += 250 * ms {
		j.read(at, at+ms, nil)
	}
	if !j.absentAreDead(false) {
		t.Error("watched for 1.75 s")
	}
}

// Guards against a death that is noticed only by the next regular reading, and
// against readings without end while the store does not answer.
func TestTheNextDeathIsWhenACounterHasStoodStillLongEnough(t *testing.T) {
	j := testJudge()
	for i := range uint64(6) { // up to 1.25 s
		at := time.Duration(i) * 250 * ms
		j.read(at, at+10*ms, records(map[string]uint64{"a": 1, "b": i, "self": i}))
	}
	for _, c := range []struct{ tried, latest, want time.Duration }{
		{1250 * ms, 1500 * ms, 1500 * ms},
		{1500 * ms, 1750 * ms, 1510 * ms},
		{1510 * ms, 1750 * ms, 1750 * ms}, // that reading failed
		{2510 * ms, 3000 * ms, 2760 * ms},
	} {
		if got := j.nextDeath(c.tried, c.latest); got != c.want {
			t.Errorf("after a reading at %v, the next regular one at %v: %v, want %v", c.tried, c.latest, got, c.want)
		}
	}
	j.read(1510*ms, 1511*ms, records(map[string]uint64{"a": 1, "b": 7, "self": 7}))
	if !j.nodes["a"].dead || j.nextDeath(1510*ms, 1750*ms) != 1750*ms {
		t.Error("a is dead by now, and dies no more")
	}
}
