package hub

import (
	"time"

	"github.com/starling-vr/starling/pubsub"
)

// welcomePatience is how long a welcome waits for the avatar's cell to be read.
const welcomePatience = time.Second

// holdWelcome keeps what is to be sent to a new client until its avatar's cell is
// followed: then welcome and baseline leave together, and every event that is
// committed there after the welcome reaches the client, what it says itself first
// of all. Without an owner that answers the welcome goes alone, after a while.
func (h *Hub) holdWelcome(c *Client, now time.Time) {
	c.opening = true
	h.opening[c] = now.Add(welcomePatience)
}

// awaitsCell says whether the client's welcome has to wait on.
func (h *Hub) awaitsCell(c *Client, now time.Time) bool {
	if !c.opening {
		return false
	}
	w := c.watchOf(c.cell)
	if (w == nil || w.cell.reader.State() != pubsub.CellLive) && now.Before(h.opening[c]) {
		return true
	}
	h.endWait(c)
	return false
}

// endWait lets the welcome go, whatever it waits for.
func (h *Hub) endWait(c *Client) {
	c.opening = false
	delete(h.opening, c)
}

// welcomeLate sends the welcomes that have waited long enough.
func (h *Hub) welcomeLate(now time.Time) {
	for c, until := range h.opening {
		if !now.Before(until) {
			h.queue(c, now)
		}
	}
}
