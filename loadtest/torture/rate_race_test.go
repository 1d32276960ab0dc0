//go:build race

package torture_test

// rate is how often a player acts, in actions/s: under the race detector 400
// players at 2.5/s need more than one of two cores for themselves, and who
// never gets to read loses its session whatever the servers do.
const rate = 0.8
