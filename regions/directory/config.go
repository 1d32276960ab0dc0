package directory

import (
	"fmt"
	"time"

	"github.com/creasty/defaults"
)

// Config holds the times of the leases. All processes of a region must have the
// same Death.
type Config struct {
	Interval time.Duration `toml:"interval" default:"250ms" doc:"How often a process renews its counter in the directory and reads the others'. At most a quarter of death: a few may fail without harm."`
	Death    time.Duration `toml:"death" default:"1500ms" doc:"A process whose counter stood still for so long, over successful readings, is held for dead and its shards are claimed. The same in all processes of a region. Shorter makes a take-over faster and a busy machine's hiccup a take-over."`
	Margin   time.Duration `toml:"margin" default:"300ms" doc:"A process whose last renewal is older than death less margin tells nothing any more. Covers clocks that run at different rates and the time between reading the clock and having spoken."`
	Timeout  time.Duration `toml:"timeout" default:"600ms" doc:"How long one renewal may take. Two should fit into death less margin."`
	Settle   time.Duration `toml:"settle" default:"2s" doc:"A process that loses its lease again within a minute gets no shards for so long, and for twice as long each further time, up to 30 s."`
	Forget   time.Duration `toml:"forget" default:"10m" doc:"The record of a dead process is removed after so long."`
}

// DefaultConfig gives the defaults that the tags name.
func DefaultConfig() (c Config) {
	defaults.MustSet(&c)
	return c
}

// Check says what is wrong with the times.
func (c Config) Check() error {
	switch {
	case c.Interval <= 0 || c.Death < 4*c.Interval:
		return fmt.Errorf("directory: interval %v with death %v: want 0 < interval <= death/4", c.Interval, c.Death)
	case c.Margin < c.Death/50 || c.Margin > c.Death/2:
		return fmt.Errorf("directory: margin %v with death %v: want between death/50 and death/2", c.Margin, c.Death)
	case c.Timeout <= 0 || c.Timeout > c.valid():
		return fmt.Errorf("directory: timeout %v: want above 0 and at most death-margin (%v)", c.Timeout, c.valid())
	case c.Settle <= 0 || c.Forget < 10*c.Death:
		return fmt.Errorf("directory: settle %v, forget %v: want settle above 0 and forget at least ten times death", c.Settle, c.Forget)
	}
	return nil
}

// valid is how long a process holds its own lease after sending a renewal.
func (c Config) valid() time.Duration { return c.Death - c.Margin }

// gap is how long readings may fail before the watch over the others starts
// anew.
func (c Config) gap() time.Duration { return c.Death / 2 }
