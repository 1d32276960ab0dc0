//go:build !unix

package annotate

import "time"

func processorTime() time.Duration { return 0 }
