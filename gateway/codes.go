package gateway

import (
	"fmt"
	"math/rand/v2"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// isRetryable says whether an outcome leaves the number unused.
func isRetryable(code starlingv1.Code) bool { return code >= 200 && code < 300 }

// isReconnect says whether a close code asks the client to come back.
func isReconnect(code starlingv1.CloseCode) bool { return code >= 4000 && code < 4500 }

// closeReason tells a client when to come back, with jitter so that not all
// come at once.
func (g *Gateway) closeReason(code starlingv1.CloseCode, what string) string {
	if !isReconnect(code) {
		return what
	}
	return reconnectReason(g.jittered(g.config.ReconnectAfter), what)
}

func reconnectReason(after time.Duration, what string) string {
	return fmt.Sprintf("reconnect in %.2fs: %s", after.Seconds(), what)
}

// jittered gives base to twice base.
func (g *Gateway) jittered(base time.Duration) time.Duration {
	return base + time.Duration(rand.Int64N(int64(base)))
}
