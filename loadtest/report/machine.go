package report

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ReadMachine describes this machine as far as the system tells; what is not
// told stays empty.
func ReadMachine() Machine {
	return readMachine("/")
}

func readMachine(root string) Machine {
	read := func(path string) string {
		data, _ := os.ReadFile(root + path)
		return strings.TrimSpace(string(data))
	}
	cpuinfo := read("proc/cpuinfo")
	m := Machine{
		CPU: valueOf(cpuinfo, "model name"), Cores: runtime.GOMAXPROCS(0),
		OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Kernel: read("proc/sys/kernel/osrelease"),
		CongestionControl: read("proc/sys/net/ipv4/tcp_congestion_control"), LoadAverage: -1,
	}
	for flag := range strings.FieldsSeq(valueOf(cpuinfo, "flags")) {
		m.Virtual = m.Virtual || flag == "hypervisor"
	}
	if kib, _, ok := strings.Cut(valueOf(read("proc/meminfo"), "MemTotal"), " "); ok {
		n, _ := strconv.ParseInt(kib, 10, 64)
		m.MemoryBytes = n << 10
	}
	if first, _, ok := strings.Cut(read("proc/loadavg"), " "); ok {
		if load, err := strconv.ParseFloat(first, 64); err == nil {
			m.LoadAverage = load
		}
	}
	return m
}

// valueOf finds "name : value" in lines.
func valueOf(lines, name string) string {
	for line := range strings.Lines(lines) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// CPUTimes are processor seconds of the whole machine since it started.
type CPUTimes struct{ Busy, Stolen float64 }

// ReadCPUTimes reads them; false where the system does not tell.
func ReadCPUTimes() (CPUTimes, bool) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return CPUTimes{}, false
	}
	return parseCPUTimes(string(data))
}

// ticksPerSecond is what Linux shows in /proc/stat on every architecture that
// Go runs on (USER_HZ).
const ticksPerSecond = 100

// parseCPUTimes reads the first line of /proc/stat: user, nice, system, idle,
// iowait, irq, softirq, steal, guest, ... (proc(5)).
func parseCPUTimes(stat string) (CPUTimes, bool) {
	first, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 || fields[0] != "cpu" {
		return CPUTimes{}, false
	}
	var ticks [8]float64
	for i := range ticks {
		n, err := strconv.ParseUint(fields[i+1], 10, 64)
		if err != nil {
			return CPUTimes{}, false
		}
		ticks[i] = float64(n)
	}
	busy := ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]
	return CPUTimes{Busy: busy / ticksPerSecond, Stolen: ticks[7] / ticksPerSecond}, true
}

// Since sets what others used and what the host took since the earlier
// reading, given what server and load tester used in that time.
func (m *Machine) Since(earlier CPUTimes, used time.Duration) {
	now, ok := ReadCPUTimes()
	if !ok || earlier == (CPUTimes{}) {
		return
	}
	others := max(round(now.Busy-earlier.Busy-used.Seconds(), 3), 0)
	stolen := max(round(now.Stolen-earlier.Stolen, 3), 0)
	m.OthersCPUS, m.StolenCPUS = &others, &stolen
}
