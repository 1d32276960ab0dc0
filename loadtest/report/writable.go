package report

import (
	"fmt"
	"os"
	"path/filepath"
)

// Writable says whether results can be written there, before there are any: the
// file of figures ("-" is standard output), and the folder of the page, which is
// made. Empty names are none.
func Writable(file, folder string) error {
	if folder != "" {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if err := tryFile(filepath.Join(folder, "index.html")); err != nil {
			return err
		}
	}
	if file == "" || file == "-" {
		return nil
	}
	return tryFile(file)
}

// tryFile makes a file beside path, as replaceFile will, and takes it away again.
func tryFile(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("write %s: it is a folder", path)
	}
	if special(path) {
		return nil
	}
	probe, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_ = probe.Close()
	return os.Remove(probe.Name())
}

// special says that there is something which must not be replaced by a file,
// such as /dev/null.
func special(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular()
}
