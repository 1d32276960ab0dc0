package report

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadingTheMachine(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"proc/cpuinfo":              "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor sse\n",
		"proc/meminfo":              "MemTotal:       1024 kB\nMemFree: 3 kB\n",
		"proc/loadavg":              "0.52 0.58 0.59 1/467 12345\n",
		"proc/sys/kernel/osrelease": "6.12.1\n",
		"proc/sys/net/ipv4/tcp_congestion_control":    "bbr\n",
		"proc/sys/net/ipv4/tcp_available_control_not": "",
	} {
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := readMachine(root + "/")
	if m.CPU != "AMD EPYC" || !m.Virtual || m.MemoryBytes != 1<<20 || m.LoadAverage != 0.52 || m.Kernel != "6.12.1" || m.CongestionControl != "bbr" {
		t.Errorf("%+v", m)
	}
	if m := readMachine(t.TempDir() + "/"); m.LoadAverage != -1 || m.CPU != "" || m.Cores < 1 || m.Go == "" {
		t.Errorf("of a machine that tells nothing: %+v", m)
	}
}

func TestProcessorTimesOfTheMachine(t *testing.T) {
	got, ok := parseCPUTimes("cpu  100 20 30 4000 50 6 7 800 0 0\ncpu0 1 2 3\n")
	if want := (CPUTimes{Busy: 1.63, Stolen: 8}); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "cpu 1 2", "cpu a b c d e f g h i", "intr 1 2 3 4 5 6 7 8 9"} {
		if _, ok := parseCPUTimes(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}
