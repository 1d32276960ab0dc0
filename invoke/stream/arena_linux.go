package stream

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	hugePage      = 2 << 20
	populateWrite = 23 // MADV_POPULATE_WRITE, since Linux 5.14
)

// mapping is memory of the operating system's.
type mapping struct {
	mapped []byte // as the system gave it
	memory []byte // of it, what is aligned
}

// mapMemory maps whole huge pages, aligned to them, so that even a small arena
// takes one entry of the translation cache, and has size bytes there at once. Behind
// them lie beyond bytes more.
func mapMemory(size, beyond int) (mapping, error) {
	whole := (size + beyond + hugePage - 1) &^ (hugePage - 1)
	mapped, err := syscall.Mmap(-1, 0, whole+hugePage, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_NORESERVE)
	if err != nil {
		return mapping{}, err
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(mapped)))
	skip := int(-at & (hugePage - 1))
	memory := mapped[skip : skip+whole]
	_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) // without them it is only slower
	page := os.Getpagesize()
	if used := (size + page - 1) &^ (page - 1); syscall.Madvise(memory[:used], populateWrite) != nil {
		for i := 0; i < used; i += page {
			memory[i] = 0
		}
	}
	return mapping{mapped, memory}, nil
}

func (m mapping) unmap() error {
	if m.mapped == nil {
		return nil
	}
	return syscall.Munmap(m.mapped)
}

// hugeBytes reads AnonHugePages of the mapping that holds memory (proc_pid_smaps(5)).
func hugeBytes(memory []byte) int {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return 0
	}
	defer f.Close()
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if value, ok := strings.CutPrefix(line, "AnonHugePages:"); ok && inside {
			kib, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
			return min(kib<<10, len(memory))
		}
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
	}
	return 0
}
