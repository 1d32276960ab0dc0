package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// reply is one RESP2 value that is no array.
type reply struct {
	kind   byte   // '-', '+', ':' or '$' as in the protocol
	number int64  // of ':'
	text   []byte // of the others; valid until the next read
}

// maxReply bounds the strings that an append may be answered with.
const maxReply = 64 << 10

var errProtocol = errors.New("redis: malformed reply")

// readReply reads one value. Source: Redis serialization protocol specification,
// RESP2.
func readReply(r *bufio.Reader) (in reply, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return in, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return in, errProtocol
	}
	in.kind, in.text = line[0], line[1:len(line)-2]
	switch in.kind {
	case '+', '-':
		return in, nil
	case ':', '$':
		if in.number, err = strconv.ParseInt(string(in.text), 10, 64); err != nil {
			return in, fmt.Errorf("%w: number %q", errProtocol, in.text)
		}
		if in.kind == '$' {
			in.text, err = readText(r, in.number)
		}
		return in, err
	}
	return in, fmt.Errorf("%w: type %q", errProtocol, in.kind)
}

func readText(r *bufio.Reader, n int64) ([]byte, error) {
	if n == -1 {
		return nil, nil
	}
	if n < 0 || n > maxReply {
		return nil, fmt.Errorf("%w: string of %d bytes", errProtocol, n)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	if text[n] != '\r' || text[n+1] != '\n' {
		return nil, errProtocol
	}
	return text[:n], nil
}
