//go:build !linux

package calibrate

import "os"

// syncData waits until a file's data is on the disk.
func syncData(file *os.File) error { return file.Sync() }
