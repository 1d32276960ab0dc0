package torture

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// crashes are what a process writes that ends by a fault of its own, or that
// finds a data race (TORTURE_RACE).
var crashes = []string{"WARNING: DATA RACE", "panic: ", "fatal error: "}

// crashed looks for such words in the logs of all processes.
func (c *Cluster) crashed() error {
	for _, p := range c.Processes() {
		if err := p.crashed(); err != nil {
			return err
		}
	}
	return nil
}

// lapses counts how often processes lost their leases: those that were paused,
// and all where this machine or the store stood still for long.
func (c *Cluster) lapses() (n int) {
	for _, p := range c.Processes() {
		if data, err := os.ReadFile(p.logs); err == nil {
			n += strings.Count(string(data), `msg="the lease is lost`)
		}
	}
	return n
}

func (p *Process) crashed() error {
	file, err := os.Open(p.logs)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, word := range crashes {
			if strings.HasPrefix(lines.Text(), word) {
				return fmt.Errorf("%s wrote %q: see %s", p.Name, lines.Text(), p.logs)
			}
		}
	}
	return lines.Err()
}
