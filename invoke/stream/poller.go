package stream

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// poller decides the records of one source, one batch after another. All but what
// is said to be others' belongs to its goroutine.
type poller struct {
	_       [64]byte
	control atomic.Uint32 // others set bits: see attend
	_       [60]byte

	function *Function
	index    int
	read     func() uint64
	peek     func() uint64
	program  *compiled
	ring     *Ring // or
	table    timetable
	phase    float64
	pace     pace

	urgency  urgency
	behind   backlog
	inOrder  bool
	interval float64 // ticks between records; 0 if unknown

	refs  []Ref
	mask  uint64
	most  uint64 // records at once
	next  uint64 // the record to decide next: a position of the ring, or of the era
	eras  uint64 // records before this era
	tail  uint64 // as the ring's producer was told
	limit uint64 // ticks that a decision may take
	now   uint64 // ticks at the last step
	hold  hold

	batch    batch
	before   batch  // the batch before it, until it is accounted for
	beforeAt uint64 // the tick at which its decisions were there
	counters *counters

	sampleEvery, sampleAt uint64 // ticks; 0 for never
	samples, selected     *side

	out [2 * MostAtOnce]Decision

	spare   *counters // others', once the bit switchCounters is clear
	started atomic.Uint64
	ended   chan struct{} // closed when it has
	core    int           // it runs on; -1 for any
}

// batch is what was handed to a kernel last.
type batch struct {
	first   uint64
	n       uint64 // 0 once it is accounted for
	started uint64 // ticks
	ended   uint64 // ticks, if something was handed over after that; else 0
	size    int    // of the kernel
	running bool   // which has not returned
}

// counters is what a poller counts; see Stats.
type counters struct {
	decided, lost, late, failed uint64
	batches, panics, swaps      uint64
	malformed, selected         uint64
	selectedLost, putOff        uint64
	sampled, samplesLost        uint64
	busy                        uint64 // ticks
	bySize                      [MostAtOnce + 1]uint64
	latency, wait, run          ticks
}

// What others ask of a poller.
const (
	stop uint32 = 1 << iota
	switchCounters
)

// run polls until it is told to stop. It returns true if a kernel panicked
// and polling is to go on.
func (p *poller) run() (again bool) {
	defer p.caught(&again)
	for p.control.Load() == 0 || p.attend() {
		p.step()
		if p.now >= p.hold.until {
			p.hold.turn(p.now)
		}
	}
	p.catchUp()
	p.settle(p.read())
	if p.ring != nil {
		p.giveBack()
	}
	return false
}

// attend does what others asked for. It returns false if that is to stop.
func (p *poller) attend() bool {
	asked := p.control.Load()
	if asked&switchCounters != 0 {
		p.counters, p.spare = p.spare, p.counters
		p.control.And(^switchCounters)
	}
	return asked&stop == 0
}

// step looks once what is due and does a batch of it.
func (p *poller) step() {
	var now uint64
	if p.batch.n != 0 {
		now = p.read()
		p.handBack(now)
		if p.ring != nil {
			p.account() // it gives places back that later batches must not be among
		}
	} else {
		now = p.peek()
	}
	p.now = now
	var due uint64
	if p.ring != nil {
		due = p.ring.head.Load() - p.next
	} else {
		due = p.scheduled(now)
	}
	if due == 0 && p.behind.n == 0 {
		p.account()
		p.idle(now)
		return
	}
	if program := p.function.program.Load(); program != p.program {
		p.use(program)
		p.counters.swaps++
	}
	first, n, index, putOff := p.choose(now, due)
	if n == 0 {
		p.account()
		p.idle(now)
		return
	}
	p.decide(now, first, n, index, putOff)
}

// decide does a batch: up to n records from first on, by a kernel of the program, of the
// backlog or the next ones.
func (p *poller) decide(now, first, n uint64, index uint8, putOff bool) {
	kernel := &p.program.kernels[index]
	place := first & p.mask
	n = min(n, uint64(kernel.Size), p.mask+1-place)
	if putOff {
		p.behind.drop(n)
	} else {
		p.next += n
	}
	b := &p.batch // by field: a whole one would be copied
	b.first, b.n, b.started, b.ended, b.size, b.running = first, n, now, 0, kernel.Size, true
	decisions := p.out[:n]
	kernel.Run(p.refs[place:place+n], decisions)
	b.running = false
	p.account() // while the processor still works on the kernel's last instructions
	p.counters.bySize[kernel.Size]++
	if flagged(decisions) {
		b.ended = p.read()
		p.handOver(place, decisions)
	}
	if now >= p.sampleAt {
		if b.ended == 0 {
			b.ended = p.read()
		}
		p.sample(now, place, decisions[0])
	}
}

// catchUp decides all that was put off.
func (p *poller) catchUp() {
	for p.behind.n > 0 {
		now := p.read()
		p.settle(now)
		s := p.behind.at(0)
		n := min(s.end-s.first, p.most)
		p.decide(now, s.first, n, p.program.plan[n], true)
	}
}

// use goes on with a program.
func (p *poller) use(program *compiled) {
	p.program = program
	if !p.inOrder && !p.table.flood {
		p.urgency = newUrgency(program, p.limit, p.interval, p.most)
	}
}

// scheduled is how many records are due by the clock, beside those put off. What the ring of records
// could not hold so long is lost.
func (p *poller) scheduled(now uint64) uint64 {
	if p.table.flood {
		return MostAtOnce
	}
	if p.next >= era {
		p.account()
		p.next -= era
		p.eras += era
		p.table.nextEra()
		p.behind.shift(era)
	}
	due := p.table.due(now)
	if p.behind.n > 0 {
		p.lose(due)
	}
	if due <= p.next {
		return 0
	}
	due -= p.next
	if over := due - p.mask - 1; int64(over) > 0 {
		p.counters.lost += over
		p.next += over
		due = p.mask + 1
	}
	return due
}

// lose gives up what was put off so long ago that its place is another record's.
func (p *poller) lose(due uint64) {
	for p.behind.n > 0 {
		over := due - p.mask - 1 - p.behind.at(0).first
		if int64(over) <= 0 {
			return
		}
		p.counters.lost += p.behind.drop(over)
	}
}

// flagged says whether any decision has a bit that the poller reads.
func flagged(decisions []Decision) bool {
	var all Decision
	if len(decisions)&1 != 0 {
		all, decisions = decisions[0], decisions[1:]
	}
	// Two at a time: this is done for every record.
	var pairs uint64
	for _, pair := range unsafe.Slice((*[8]byte)(unsafe.Pointer(unsafe.SliceData(decisions))), len(decisions)/2) {
		pairs |= binary.NativeEndian.Uint64(pair[:])
	}
	all |= Decision(pairs) | Decision(pairs>>32)
	return all&(Selected|Malformed) != 0
}

// handOver passes selected records on, and counts malformed ones.
func (p *poller) handOver(place uint64, decisions []Decision) {
	for i, d := range decisions {
		switch {
		case d.Malformed():
			p.counters.malformed++
			p.function.report(func() error {
				return &RecordError{Function: p.function.name, Sequence: p.eras + p.batch.first + uint64(i), Why: "its function says so"}
			})
		case d.Selected():
			p.counters.selected++
			record := p.batch.first + uint64(i)
			if s := p.selected; s != nil && !s.offer(p.refs[place+uint64(i)], d, p.dueAt(record), p.eras+record, p.program.version) {
				p.counters.selectedLost++
			}
		}
	}
}

// mostBehind is how many samples are made up for after a pause.
const mostBehind = 64

// sample passes a record on to the sampling outlet.
func (p *poller) sample(now, place uint64, decision Decision) {
	if p.samples == nil {
		p.sampleAt = ^uint64(0)
		return
	}
	p.sampleAt += p.sampleEvery
	if behind := now - p.sampleAt; int64(behind) > int64(mostBehind*p.sampleEvery) {
		p.sampleAt = now - mostBehind*p.sampleEvery
	}
	p.counters.sampled++
	if !p.samples.offer(p.refs[place], decision, p.dueAt(p.batch.first), p.eras+p.batch.first, p.program.version) {
		p.counters.samplesLost++
	}
}

// dueAt is the tick at which a record of the last batch was due.
func (p *poller) dueAt(record uint64) uint64 {
	if p.table.flood {
		return p.batch.started
	}
	return p.due(record)
}

// settle accounts for the last batch, whose decisions were there at now.
func (p *poller) settle(now uint64) {
	p.handBack(now)
	p.account()
}

// handBack notes that the decisions of the last batch were there at now. Accounting for it
// waits until the next one is on its way.
func (p *poller) handBack(now uint64) {
	b, to := &p.batch, &p.before
	if b.n == 0 {
		return
	}
	if b.ended != 0 {
		now = b.ended
	}
	to.first, to.n, to.started = b.first, b.n, b.started
	p.beforeAt, b.n = now, 0
}

// account accounts for the batch before.
func (p *poller) account() {
	b, c, now := &p.before, p.counters, p.beforeAt
	n := b.n
	if n == 0 {
		return
	}
	size := n
	b.n = 0
	c.batches++
	c.decided += n
	c.busy += now - b.started
	c.run.add(now-b.started, n)
	first := b.started
	if !p.table.flood {
		first = p.due(b.first)
	}
	if waited := b.started - first; int64(waited) >= 0 { // a producer's clock may be ahead
		c.wait.add(waited, n)
	}
	if p.ring != nil {
		p.settleRing(now, b.first, n)
		return
	}
	oldest := now - first
	interval, fraction := p.table.interval, p.table.fraction&63
	if oldest < nearTicks {
		c.latency.max = max(c.latency.max, oldest)
		for behind := uint64(0); n > 0; n-- {
			c.latency.near[(oldest-behind>>fraction)>>nearShift&(nearBuckets-1)]++
			behind += interval
		}
	} else {
		for behind := uint64(0); n > 0; n-- {
			c.latency.add(oldest-behind>>fraction, 1)
			behind += interval
		}
	}
	if oldest > p.limit {
		c.late += min(p.table.older(oldest-p.limit), size)
	}
}

// settleRing does it for records that each have a stamp, and gives their places
// back to the producer, an eighth of the ring at a time.
func (p *poller) settleRing(now, first, n uint64) {
	c := p.counters
	for i := range n {
		t := now - p.ring.due[(first+i)&p.mask]
		if int64(t) < 0 { // stamped by a clock that is ahead
			t = 0
		}
		c.latency.add(t, 1)
		if t > p.limit {
			c.late++
		}
	}
	if p.undecided()-p.tail > p.mask>>3 {
		p.giveBack()
	}
}

// undecided is the first record that is neither decided nor given up.
func (p *poller) undecided() uint64 {
	if p.behind.n > 0 {
		return p.behind.at(0).first
	}
	return p.next
}

func (p *poller) giveBack() {
	p.tail = p.undecided()
	p.ring.tail.Store(p.tail)
}

// idle is what a poller does when nothing is due.
func (p *poller) idle(now uint64) {
	if p.ring != nil && p.tail != p.next {
		p.giveBack()
	}
	if p.pace.yields {
		p.leave(now)
	}
}

// caught ends the batch of a kernel that panicked.
func (p *poller) caught(again *bool) {
	if !p.batch.running {
		return
	}
	value := recover()
	*again = true
	p.account()
	b, c := &p.batch, p.counters
	n, first := b.n, p.eras+b.first
	b.n, b.running = 0, false
	c.failed += n
	c.panics++
	p.function.report(func() error {
		return newPanicError(p.function.name, p.program.version, b.size, first, int(n), value)
	})
}
