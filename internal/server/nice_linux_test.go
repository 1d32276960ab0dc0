package server

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBeNice sets the niceness of a process of its own: it cannot be taken back.
func TestBeNice(t *testing.T) {
	const child = "STARLING_TEST_BE_NICE"
	if os.Getenv(child) == "" {
		run := exec.Command(os.Args[0], "-test.run=^TestBeNice$")
		run.Env = append(os.Environ(), child+"=1")
		if out, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := beNice(19); err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 2 {
		t.Fatal(err, len(threads))
	}
	for _, thread := range threads {
		text, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/stat")
		if err != nil {
			continue // it ended
		}
		_, after, _ := strings.Cut(string(text), ") ") // proc(5): the nineteenth field is the niceness
		if fields := strings.Fields(after); fields[16] != fmt.Sprint(19) {
			t.Errorf("thread %s has niceness %s", thread.Name(), fields[16])
		}
	}
}
