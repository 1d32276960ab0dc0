package generator

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// spareFiles are the descriptors that a process needs besides its connections.
const spareFiles = 100

// LimitError says that the machine allows too few files or ports, and what to do
// about it.
type LimitError struct {
	What string
	Do   string
}

func (e *LimitError) Error() string { return e.What + "; " + e.Do }

// CheckFiles makes sure that this process may open so many connections: it
// raises the soft limit of open files as far as it may.
func CheckFiles(connections int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	need := uint64(connections + spareFiles)
	if limit.Cur >= need {
		return nil
	}
	raised := syscall.Rlimit{Cur: need, Max: max(limit.Max, need)} // beyond the hard limit: for the superuser alone
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return &LimitError{
			What: fmt.Sprintf("%d connections need %d open files, and this process may have %d", connections, need, limit.Max),
			Do: fmt.Sprintf("raise the hard limit: `ulimit -Hn %d` as root before starting (systemd: LimitNOFILE=%d; containers: --ulimit nofile=%d), "+
				"or use at most %d participants; a server on the same machine needs as many", need, need, need, int64(limit.Max)-spareFiles),
		}
	}
	return nil
}

// portRange reads how many ports the system gives to outgoing connections.
func portRange() (ports int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var low, high int
	if err == nil {
		_, err = fmt.Sscan(strings.TrimSpace(string(text)), &low, &high)
	}
	if err != nil || high <= low {
		return 28_000
	}
	return high - low + 1
}

// sources gives the addresses to connect from: none, which is the system's
// choice, while its ports suffice; on loopback as many of 127.0.0.0/8 as are needed.
// There only half of the ports of each count: Linux gives connections the even ones
// first, and once they are gone tries thousands for each further connection.
func sources(connections int, e *endpoint) ([]netip.Addr, error) {
	per := portRange() * 9 / 10
	if e.loopback() {
		per /= 2
	}
	ports := per * len(e.addresses)
	if connections <= ports {
		return nil, nil
	}
	if !e.loopback() {
		return nil, &LimitError{
			What: fmt.Sprintf("%d connections to %s need more than the %d ports that one address of this machine has", connections, e.host, per),
			Do:   "widen the range: `sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`, or run several load testers on different machines",
		}
	}
	n := (connections + ports - 1) / ports
	if n > 250 {
		return nil, errors.New("more connections than one machine can open")
	}
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)})
	}
	return all, nil
}
