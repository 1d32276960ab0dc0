package calibrate

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData waits until a file's data is on the disk, as Redis does with appendfsync.
func syncData(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }
