package annotate

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkBound prints the least share of the documents that have to be refused, for the
// schedules that `--rate 4000 --arrivals bursts:200 --warmup 1s --duration 5s` has with
// seeds 1, 2 and 3: through one queue served by both cores without pause, by so much
// processor time a document and so much time that admission may fill, when the newest or
// the largest are refused.
func BenchmarkBound(b *testing.B) {
	for b.Loop() {
		fmt.Printf("\nCPU, us  fill, ms  newest: seeds 1 2 3, %%   largest, %%\n")
		for _, cpu := range []float64{250, 230, 210, 190} {
			for _, fill := range []time.Duration{68, 75, 90} {
				fmt.Printf("%7.0f  %8d ", cpu, fill)
				for _, largest := range []bool{false, true} {
					for seed := uint64(1); seed <= 3; seed++ {
						q := boundedQueue{each: cpu / 2 / 400, fill: fill * time.Millisecond, largest: largest}
						fmt.Printf(" %6.2f", 100*q.run(seed))
					}
					fmt.Print("  ")
				}
				fmt.Println()
			}
		}
	}
}

// BenchmarkOracle prints a lower bound for seeds 1 to 5: the least share of the documents
// that is late for a scheduler that knows all arrivals and run times beforehand and leaves
// all optional functions out, on one core of twice the speed, with so much of a deadline
// of 100 ms to fill. CPU is that of a document with all functions, of everything that runs
// on the two cores.
func BenchmarkOracle(b *testing.B) {
	for b.Loop() {
		fmt.Printf("\nCPU, us  fill, ms   late: seeds 1 to 5, %%\n")
		for _, cpu := range []float64{250, 230, 210, 190} {
			for _, fill := range []time.Duration{75, 85, 95, 100} {
				fmt.Printf("%7.0f  %8d  ", cpu, fill)
				for seed := uint64(1); seed <= 5; seed++ {
					o := oracle{each: cpu / 2 / 400 * (1 - optionalShare), fill: fill * time.Millisecond}
					fmt.Printf(" %6.2f", 100*o.run(seed))
				}
				fmt.Println()
			}
		}
	}
}

// oracle gives up as few documents as possible (Kise, Ibaraki and Mine, "A solvable case of
// the one-machine scheduling problem with ready and due times", 1978: who comes earlier is
// due earlier; in that order each is taken, and when it ends late, that of all taken so far
// is given up without which the last ends soonest).
type oracle struct {
	each float64 // us of wall time a word takes
	fill time.Duration

	taken []oracleDocument
}

type oracleDocument struct {
	due, took  time.Duration
	start, end time.Duration
	counted    bool
}

func (o *oracle) run(seed uint64) float64 {
	const warmup = time.Second
	words := Words{Kind: "uniform", From: 50, To: 750}
	late, counted := 0, 0
	for number, due := range (Arrivals{Kind: "bursts", Burst: 200}).Schedule(4000, 6*time.Second, seed) {
		took := time.Duration(o.each * float64(words.Draw(seed, number)) * float64(time.Microsecond))
		o.taken = append(o.taken, oracleDocument{due: due, took: took, counted: due >= warmup})
		if due >= warmup {
			counted++
		}
		o.schedule(len(o.taken) - 1)
		if last := o.taken[len(o.taken)-1]; last.end-last.due <= o.fill {
			continue
		}
		out := o.costliest()
		if o.taken[out].counted {
			late++
		}
		o.taken = append(o.taken[:out], o.taken[out+1:]...)
		o.schedule(out)
	}
	return float64(late) / float64(counted)
}

// schedule sets when those from number from on start and end.
func (o *oracle) schedule(from int) {
	free := time.Duration(0)
	if from > 0 {
		free = o.taken[from-1].end
	}
	for i := from; i < len(o.taken); i++ {
		d := &o.taken[i]
		d.start = max(free, d.due)
		d.end = d.start + d.took
		free = d.end
	}
}

// costliest is the document without which the last would end soonest: the one that gains
// most, itself or what those behind it can move ahead before they come.
func (o *oracle) costliest() int {
	best, most := len(o.taken)-1, time.Duration(-1)
	ahead := time.Duration(1 << 62)
	for i := len(o.taken) - 1; i >= 0 && ahead > most; i-- {
		if gain := min(o.taken[i].took, ahead); gain > most {
			best, most = i, gain
		}
		ahead = min(ahead, o.taken[i].start-o.taken[i].due)
	}
	return best
}

// optionalShare is the optional functions' share of a document's processor time: they are
// left out while work for more than shedAt of the time to fill waits.
const (
	optionalShare = 0.05
	shedAt        = 0.7
)

// boundedQueue is a queue in order of arrival.
type boundedQueue struct {
	each    float64 // us of wall time a word takes
	fill    time.Duration
	largest bool // the largest that waits is refused, not the newest

	now  time.Duration
	work time.Duration // required, of what waits
	wait []boundedDocument
}

type boundedDocument struct{ due, required, optional time.Duration }

// run gives the share that is refused.
func (q *boundedQueue) run(seed uint64) float64 {
	const warmup = time.Second
	words := Words{Kind: "uniform", From: 50, To: 750}
	refused, counted := 0, 0
	for number, due := range (Arrivals{Kind: "bursts", Burst: 200}).Schedule(4000, 6*time.Second, seed) {
		q.serve(due)
		all := q.each * float64(words.Draw(seed, number)) * float64(time.Microsecond)
		q.wait = append(q.wait, boundedDocument{due, time.Duration(all * (1 - optionalShare)), time.Duration(all * optionalShare)})
		q.work += q.wait[len(q.wait)-1].required
		if due >= warmup {
			counted++
		}
		if max(q.now-due, 0)+q.work > q.fill {
			q.refuse()
			if due >= warmup {
				refused++
			}
		}
	}
	return float64(refused) / float64(counted)
}

// serve works until then.
func (q *boundedQueue) serve(until time.Duration) {
	for len(q.wait) > 0 && q.now < until {
		first := &q.wait[0]
		step := min(first.required, until-q.now)
		first.required -= step
		q.now, q.work = q.now+step, q.work-step
		if first.required > 0 {
			return
		}
		if most := time.Duration(shedAt * float64(q.fill)); q.now-first.due < most && q.work < most {
			q.now += first.optional
		}
		q.wait = q.wait[1:]
	}
	q.now = max(q.now, until)
}

// refuse takes the newest out, or the largest of those that have not begun.
func (q *boundedQueue) refuse() {
	out := len(q.wait) - 1
	for i := 1; q.largest && i < len(q.wait); i++ {
		if q.wait[i].required > q.wait[out].required {
			out = i
		}
	}
	q.work -= q.wait[out].required
	q.wait = append(q.wait[:out:out], q.wait[out+1:]...)
}
