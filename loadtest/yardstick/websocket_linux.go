package yardstick

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/starling-vr/starling/loadtest/generator/wire"
)

// mostMessage bounds what a client may say in one frame, and the head of its
// request, bytes.
const mostMessage = 16 << 10

// errFrame: not a frame that a client of a load test sends. Messages in several
// frames are not taken.
var errFrame = errors.New("not a whole websocket message of a client")

// nextFrame takes the frame at the beginning of data apart and removes its mask,
// in place. size is how many bytes it takes; 0 means that it is not all there
// yet. Source: RFC 6455, section 5.2.
func nextFrame(data []byte) (opcode byte, payload []byte, size int, err error) {
	const finalBit, maskBit, maskSize = 0x80, 0x80, 4
	if len(data) < 2 {
		return 0, nil, 0, nil
	}
	length, head := int(data[1]&^maskBit), 2
	if data[0]&^0xf != finalBit || data[1]&maskBit == 0 || length == 127 {
		return 0, nil, 0, errFrame
	}
	if length == 126 {
		if len(data) < 4 {
			return 0, nil, 0, nil
		}
		length, head = int(binary.BigEndian.Uint16(data[2:])), 4
	}
	if length > mostMessage {
		return 0, nil, 0, errFrame
	}
	size = head + maskSize + length
	if len(data) < size {
		return 0, nil, 0, nil
	}
	mask := binary.LittleEndian.Uint32(data[head:])
	payload = data[head+maskSize : size]
	wide := uint64(mask)<<32 | uint64(mask)
	rest := payload
	for len(rest) >= 8 {
		binary.LittleEndian.PutUint64(rest, binary.LittleEndian.Uint64(rest)^wide)
		rest = rest[8:]
	}
	for i := range rest {
		rest[i] ^= byte(wide >> (8 * i))
	}
	return data[0] & 0xf, payload, size, nil
}

// upgrade reads the request that opens a websocket and gives the answer. size is
// how many bytes the request takes; 0 means that it is not all there yet.
func upgrade(data []byte) (answer []byte, size int, err error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > mostMessage {
			return nil, 0, errors.New("a request without an end")
		}
		return nil, 0, nil
	}
	size = end + 4
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data[:size])))
	if err != nil {
		return nil, 0, err
	}
	var nonce [16]byte
	key, err := base64.StdEncoding.DecodeString(request.Header.Get("Sec-WebSocket-Key"))
	if err != nil || copy(nonce[:], key) != len(nonce) || !strings.Contains(request.Header.Get("Sec-WebSocket-Protocol"), wire.Subprotocol) {
		return nil, 0, errors.New("not the request for a websocket with " + wire.Subprotocol)
	}
	return fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		wire.AcceptKey(nonce), wire.Subprotocol), size, nil
}
