package torture

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCrashesAreFoundInLogs(t *testing.T) {
	for text, want := range map[string]bool{
		"time=1 msg=\"panic: as a word of a client\"\n": false,
		"time=1 msg=a\nWARNING: DATA RACE\nWrite at":    true,
		"panic: no [recovered]\n":                       true,
		"":                                              false,
	} {
		p := &Process{Name: "owner-1", logs: filepath.Join(t.TempDir(), "log")}
		if err := os.WriteFile(p.logs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := p.crashed(); (err != nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
