package invoke

// SenderCounts counts how many waiting invocations each sender has, without an
// allocation per sender: a count-min sketch of two rows (Cormode and
// Muthukrishnan, 2005). Two senders that meet in both rows share a share. The zero
// value uses no seed; it is not safe for use by several goroutines.
type SenderCounts struct {
	seed [2]uint64
	rows [2][512]int32
}

// NewSenderCounts makes empty counts whose hashes depend on the random numbers a and b.
func NewSenderCounts(a, b uint64) SenderCounts { return SenderCounts{seed: [2]uint64{a, b}} }

func (c *SenderCounts) slots(sender uint64) (*int32, *int32) {
	return &c.rows[0][mix(sender^c.seed[0])&511], &c.rows[1][mix(sender^c.seed[1])&511]
}

// Held returns how many the sender has, or more.
func (c *SenderCounts) Held(sender uint64) int {
	a, b := c.slots(sender)
	return int(min(*a, *b))
}

// Add adds n to the sender's count; sender 0 is not counted.
func (c *SenderCounts) Add(sender uint64, n int32) {
	if sender == 0 {
		return
	}
	a, b := c.slots(sender)
	*a += n
	*b += n
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
