package regions

import (
	"testing"
	"time"
)

// What the tags name is what a node runs with, also within its parts.
func TestDefaults(t *testing.T) {
	c := DefaultConfig()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if len(c.Roles) != 2 || c.Directory.Death != 1500*time.Millisecond || c.Peer.QueueBytes != 8<<20 {
		t.Errorf("the defaults are %+v", c)
	}
}
