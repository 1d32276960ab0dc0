package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// marker is a file beside the log's that is there while commits are not synced.
// It names the run of the host: if the host was restarted since, the log's file
// may be any mixture of old and new pages, and must not be taken for whole.
type marker struct{ path string }

// bootFile identifies the host's run on Linux. Elsewhere all runs look alike,
// and any log that was not closed is refused.
const bootFile = "/proc/sys/kernel/random/boot_id"

func thisBoot() []byte {
	id, err := os.ReadFile(bootFile)
	if err != nil {
		return nil
	}
	return bytes.TrimSpace(id)
}

// check refuses a log that was written without syncing when the host went down.
func (m marker) check(log string) error {
	written, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("embedded log: %w", err)
	}
	boot := thisBoot()
	if len(boot) > 0 && bytes.Equal(written, boot) {
		return nil
	}
	return fmt.Errorf("embedded log: %s was in use at durability memory when its host went down, and cannot be trusted: "+
		"restore it from a backup, or remove it and %s to begin an empty world", log, m.path)
}

// set makes or removes the marker, for good.
func (m marker) set(unsynced bool) error {
	var err error
	if unsynced {
		err = writeSynced(m.path, thisBoot())
	} else if err = os.Remove(m.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(m.path))
	}
	if err != nil {
		return fmt.Errorf("embedded log: %w", err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
