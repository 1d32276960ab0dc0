//go:build !unix

package overload

import "time"

func processorTime() (time.Duration, bool) { return 0, false }
