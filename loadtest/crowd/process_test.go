package crowd_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var seconds = flag.Int("seconds", 15, "that benchmarks measure")

const benchKey = "a key of thirty-two bytes or more"

// binary builds the starling command.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "starling-bench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "starling")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/starling").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func awaitReady(b *testing.B, address string) {
	b.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		r, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			b.Fatal("the server does not get ready: ", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// cpuSeconds reads user and system time of processes from /proc/PID/stat
// (fields 14 and 15, in ticks of 10 ms).
func cpuSeconds(b *testing.B, processes []*os.Process) (seconds float64) {
	b.Helper()
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			seconds += float64(ticks) / 100
		}
	}
	return seconds
}
