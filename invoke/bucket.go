package invoke

import "time"

// TokenBucket marks arrivals as within the guarantee or not (RFC 2697, with one
// bucket). It holds at most burst tokens and gains rate of them a second. It is not
// safe for use by several goroutines.
type TokenBucket struct {
	rate, burst, tokens float64
	last                Instant
}

// NewTokenBucket makes a full bucket of the contract's Rate and Burst.
func NewTokenBucket(rate float64, burst int, now Instant) TokenBucket {
	return TokenBucket{rate: rate, burst: float64(burst), tokens: float64(burst), last: now}
}

// Conforms says whether there is a token for an arrival now.
func (b *TokenBucket) Conforms(now Instant) bool {
	if b.rate == 0 {
		return false
	}
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	// A rate such as 3/s never sums to a whole token in floating point.
	return b.tokens >= 1-float64(time.Nanosecond)/float64(time.Second)
}

// Take takes the token of an arrival that conforms.
func (b *TokenBucket) Take() { b.tokens = max(b.tokens-1, 0) }

// Charge takes n more tokens, down to the debt of a second.
func (b *TokenBucket) Charge(n float64) { b.tokens = max(b.tokens-n, -max(b.rate, b.burst)) }
