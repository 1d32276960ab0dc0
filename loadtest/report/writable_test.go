package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhereResultsCanBeWritten(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "run.json")
	if err := os.WriteFile(file, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, folder, why string }{
		{"", "", ""},
		{"-", "", ""},
		{file, filepath.Join(folder, "a", "page"), ""},
		{filepath.Join(folder, "new.json"), "", ""},
		{os.DevNull, "", ""},
		{filepath.Join(folder, "nowhere", "run.json"), "", "no such file or directory"},
		{folder, "", "it is a folder"},
		{"", file, "not a directory"},
	} {
		err := Writable(c.file, c.folder)
		if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%q %q: %v, want %q", c.file, c.folder, err, c.why)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "before" {
		t.Errorf("%q, %v", text, err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 2 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// A device is written to, not replaced.
func TestADeviceStays(t *testing.T) {
	link := filepath.Join(t.TempDir(), "device")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(link, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v, %v", info, err)
	}
}
