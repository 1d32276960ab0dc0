package invoke

import "time"

// tokenBucket marks arrivals as within the guarantee or not (RFC 2697, with one
// bucket). It holds at most burst tokens and gains rate of them a second.
type tokenBucket struct {
	rate, burst, tokens float64
	last                Instant
}

func newTokenBucket(rate float64, burst int, now Instant) tokenBucket {
	return tokenBucket{rate: rate, burst: float64(burst), tokens: float64(burst), last: now}
}

func (b *tokenBucket) conforms(now Instant) bool {
	if b.rate == 0 {
		return false
	}
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	// A rate such as 3/s never sums to a whole token in floating point.
	return b.tokens >= 1-float64(time.Nanosecond)/float64(time.Second)
}

func (b *tokenBucket) take() { b.tokens = max(b.tokens-1, 0) }

// charge takes n more tokens, down to the debt of a second.
func (b *tokenBucket) charge(n float64) { b.tokens = max(b.tokens-n, -max(b.rate, b.burst)) }
