package starling

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// steadyTime is how long a connection must have lasted for the next failure to
// count as a first one.
const steadyTime = 5 * time.Second

// pause is how long to wait before the next attempt, after so many failures in
// a row. A time that the gateway named is kept to, with up to a half more so
// that not all come back at once.
func (b Backoff) pause(err error, failures int) time.Duration {
	if errors.Is(err, errDraining) {
		return 0 // the time at which it left was random already
	}
	var closed *CloseError
	if errors.As(err, &closed) {
		if after, named := ReconnectAfter(closed.Reason); named && (after > 0 || failures <= 1) {
			return after + rand.N(after/2+1)
		}
	}
	pause := min(b.First<<min(max(failures-1, 0), 16), b.Most)
	if pause <= 0 {
		pause = b.Most // the shift overflowed
	}
	return pause/2 + rand.N(pause/2+1)
}

// sentAway says whether a connection ended because its gateway goes away: that
// is no failure of the client's, nor of the gateway that it goes to next.
func sentAway(err error) bool {
	var closed *CloseError
	return errors.Is(err, errDraining) || errors.As(err, &closed) && closed.Code == starlingv1.CloseCode_GOING_AWAY
}

// ReconnectAfter reads the time to wait from the reason of a close code:
// "reconnect in 1.5s: draining".
func ReconnectAfter(reason string) (after time.Duration, named bool) {
	rest, ok := strings.CutPrefix(reason, "reconnect in ")
	if !ok {
		return 0, false
	}
	text, _, _ := strings.Cut(rest, ":")
	after, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || after < 0 {
		return 0, false
	}
	return min(after, 10*time.Minute), true
}

// closeError turns a websocket close into ours; other errors stay.
func closeError(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code >= 4000 {
		return &CloseError{starlingv1.CloseCode(closed.Code), closed.Text}
	}
	return err
}

// final says whether an error tells the client to stay away.
func final(err error) bool {
	var closed *CloseError
	if errors.As(err, &closed) {
		return closed.Final()
	}
	var status *statusError
	return errors.As(err, &status) && status.final()
}

func isSessionGone(err error) bool {
	var closed *CloseError
	return errors.As(err, &closed) && closed.Code == starlingv1.CloseCode_SESSION_GONE
}
