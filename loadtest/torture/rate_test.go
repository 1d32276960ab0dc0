//go:build !race

package torture_test

// rate is how often a player acts, in actions/s.
const rate = 2.5
