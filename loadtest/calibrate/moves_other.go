//go:build !linux

package calibrate

import "context"

// moveShare is taken to be 1 where it cannot be counted: whoever wakes has a core
// while one rests.
func moveShare(context.Context, int) (float64, error) { return 1, nil }
