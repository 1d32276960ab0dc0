//go:build !unix

package processor

import "time"

func processTime() (time.Duration, bool) { return 0, false }
