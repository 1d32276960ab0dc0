package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Subprotocol is the one that the generator speaks.
const Subprotocol = "starling.v1.proto"

// MaxResponse bounds the head of the answer to an upgrade.
const MaxResponse = 16 << 10

// StatusError is an HTTP status that refused the upgrade.
type StatusError struct {
	Code int
	Line string
}

func (e *StatusError) Error() string { return "the upgrade was refused: " + e.Line }

// UpgradeRequest is the HTTP request that opens a websocket. nonce has 16 random
// bytes. Source: RFC 6455, section 4.1.
func UpgradeRequest(host, path string, nonce [16]byte) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\nUser-Agent: starling-loadtest\r\n\r\n",
		path, host, base64.StdEncoding.EncodeToString(nonce[:]), Subprotocol)
}

// AcceptKey is the answer that proves that the server understood the request.
// Source: RFC 6455, section 4.2.2.
func AcceptKey(nonce [16]byte) string {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(base64.StdEncoding.EncodeToString(nonce[:]) + guid))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// UpgradeResponse reads the head of the server's answer. size is how many bytes
// it takes; 0 means that it is not all there yet.
func UpgradeResponse(data []byte, nonce [16]byte) (size int, err error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > MaxResponse {
			return 0, fmt.Errorf("the answer to the upgrade has no end within %d bytes", MaxResponse)
		}
		return 0, nil
	}
	lines := strings.Split(string(data[:end]), "\r\n")
	if err := checkStatus(lines[0]); err != nil {
		return 0, err
	}
	headers := map[string]string{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		headers[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	switch {
	case !strings.EqualFold(headers["upgrade"], "websocket"):
		return 0, fmt.Errorf("the answer to the upgrade upgrades to %q", headers["upgrade"])
	case headers["sec-websocket-accept"] != AcceptKey(nonce):
		return 0, fmt.Errorf("the answer to the upgrade has a wrong Sec-WebSocket-Accept")
	case headers["sec-websocket-protocol"] != Subprotocol:
		return 0, fmt.Errorf("the server speaks %q, not %s", headers["sec-websocket-protocol"], Subprotocol)
	}
	return end + 4, nil
}

func checkStatus(line string) error {
	protocol, rest, _ := strings.Cut(line, " ")
	digits, _, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(digits)
	if err != nil || !strings.HasPrefix(protocol, "HTTP/1.") {
		return fmt.Errorf("not an HTTP answer: %.80q", line)
	}
	if code != 101 {
		return &StatusError{Code: code, Line: rest}
	}
	return nil
}
