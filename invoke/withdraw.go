package invoke

// Withdraw takes a unary invocation out of the queue and says whether it was there:
// false if a worker has it, or it has ended. If true, neither Run nor Refused is called,
// and the invocation is its caller's again. It counts as refused with TooLate.
func (f *Function) Withdraw(inv *Invocation) bool {
	s := f.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.Withdraw(s.clock(), inv)
}

// Withdraw is Function.Withdraw.
func (p *Policy) Withdraw(now Instant, inv *Invocation) bool {
	p.advance(now)
	if inv.fn == nil || inv.Key != nil || inv.place.index == 0 {
		return false
	}
	p.ready.remove(&inv.place)
	p.count(inv, -1)
	inv.fn.tally.refusals[TooLate]++
	return true
}
