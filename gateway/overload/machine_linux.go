package overload

import (
	"bytes"
	"os"
	"strconv"
)

// machineTime is how long the machine's processors had nothing to do so far, and
// how long they have been there, in ticks (proc_stat(5)).
func machineTime() (idle, all uint64, ok bool) {
	file, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	defer file.Close()
	var head [256]byte
	n, _ := file.Read(head[:])
	return parseStat(head[:n])
}

// statFields are user, nice, system, idle, iowait, irq, softirq and steal; guests
// are in user already.
const statFields = 8

// parseStat reads the first line of /proc/stat.
func parseStat(text []byte) (idle, all uint64, ok bool) {
	line, _, complete := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if !complete || len(fields) < 1+statFields || string(fields[0]) != "cpu" {
		return 0, 0, false
	}
	for i, f := range fields[1 : 1+statFields] {
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		all += n
		if i == 3 || i == 4 {
			idle += n
		}
	}
	return idle, all, true
}
