package trigger

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Caches are the sizes of a core's data caches in bytes, 0 where the system does not
// tell.
type Caches struct {
	L1 int `json:"l1_bytes" jsonschema:"first level, of data; 0 if unknown"`
	L2 int `json:"l2_bytes" jsonschema:"second level; 0 if unknown"`
	L3 int `json:"l3_bytes" jsonschema:"third level, which cores may share; 0 if unknown"`
}

// readCaches reads /sys/devices/system/cpu/cpuN/cache (sysfs-devices-system-cpu).
func readCaches(root string, core int) (c Caches) {
	directory := filepath.Join(root, "sys/devices/system/cpu/cpu"+strconv.Itoa(core), "cache")
	indexes, _ := filepath.Glob(filepath.Join(directory, "index*"))
	for _, index := range indexes {
		read := func(name string) string {
			data, _ := os.ReadFile(filepath.Join(index, name))
			return strings.TrimSpace(string(data))
		}
		size := parseSize(read("size"))
		switch level := read("level"); {
		case read("type") == "Instruction":
		case level == "1":
			c.L1 = size
		case level == "2":
			c.L2 = size
		case level == "3":
			c.L3 = size
		}
	}
	return c
}

// parseSize reads sizes like 32K and 16M; 0 for anything else.
func parseSize(text string) int {
	unit := 1
	switch {
	case strings.HasSuffix(text, "K"):
		unit = 1 << 10
	case strings.HasSuffix(text, "M"):
		unit = 1 << 20
	}
	n, err := strconv.Atoi(strings.TrimRight(text, "KM"))
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n * unit
}

// What a core's caches are taken to be where the system does not tell.
const (
	usualL2 = 1 << 20
	usualL3 = 16 << 20
)

// An arena holds some records however large they are, since of a single one either all
// that falls due is selected or nothing; but all arenas hold only so many bytes for that.
const (
	fewestRecords = 8
	mostForFew    = 256 << 20
)

// records says how many records of a stride make an arena that lies in a place, for
// each of so many pollers on so many cores, and where they lie in truth: half of the second level, so
// that weights and the like fit beside them; half of the third shared out, and
// more than the second; four times the third. Large records lie further out, where there
// would be fewer than fewestRecords.
func (c Caches) records(place string, stride, pollers, cores int) (count int, fits string) {
	l2, l3 := c.L2, c.L3
	if l2 == 0 {
		l2 = usualL2
	}
	if l3 == 0 {
		l3 = usualL3
	}
	l2 /= max((pollers+cores-1)/max(cores, 1), 1) // pollers that share a core share its cache
	bytes := map[string]int{"l2": l2 / 2, "l3": max(l3/2/pollers, 2*l2), "memory": 4 * max(l3/pollers, 2*l2)}[place]
	count = 1
	for count*2*stride <= bytes {
		count *= 2
	}
	for count < fewestRecords && count*2*stride*pollers <= mostForFew {
		count *= 2
	}
	switch total := count * stride; {
	case total <= l2*3/4:
		return count, "l2"
	case total*pollers <= l3*3/4:
		return count, "l3"
	}
	return count, "memory"
}
