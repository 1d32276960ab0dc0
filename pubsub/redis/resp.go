package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Bounds on what a node may send.
const (
	maxBulk  = 64 << 20
	maxItems = 64
)

// reply is one RESP2 value: an error or status (text), a number, or the items
// of an array of strings.
type reply struct {
	kind  byte // '-', '+', ':', '$', '*' as in the protocol
	text  []byte
	n     int64
	items [][]byte
}

var errProtocol = errors.New("redis: malformed reply")

// readReply reads one value. Items are fresh memory: they may be kept. Source:
// Redis serialization protocol specification, RESP2.
func readReply(r *bufio.Reader, into *reply) error {
	line, err := readLine(r)
	if err != nil {
		return err
	}
	into.kind, into.text, into.n, into.items = line[0], nil, 0, into.items[:0]
	rest := line[1:]
	switch into.kind {
	case '+', '-':
		into.text = append([]byte(nil), rest...)
		return nil
	case ':':
		into.n, err = parseInt(rest)
		return err
	case '$':
		into.text, err = readBulk(r, rest)
		return err
	case '*':
		return readItems(r, rest, into)
	}
	return fmt.Errorf("%w: type %q", errProtocol, into.kind)
}

func readItems(r *bufio.Reader, length []byte, into *reply) error {
	n, err := parseInt(length)
	if err != nil || n > maxItems {
		return errProtocol
	}
	for range n {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		item := append([]byte(nil), line[1:]...)
		switch line[0] {
		case '$':
			if item, err = readBulk(r, line[1:]); err != nil {
				return err
			}
		case ':', '+':
		default:
			return fmt.Errorf("%w: item of type %q", errProtocol, line[0])
		}
		into.items = append(into.items, item)
	}
	return nil
}

// readLine gives a line without its end, at least one byte, until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, errProtocol
	}
	return line[:len(line)-2], nil
}

// readBulk reads a string of a length; -1 gives nil.
func readBulk(r *bufio.Reader, length []byte) ([]byte, error) {
	n, err := parseInt(length)
	if err != nil {
		return nil, err
	}
	if n == -1 {
		return nil, nil
	}
	if n < 0 || n > maxBulk {
		return nil, fmt.Errorf("%w: string of %d bytes", errProtocol, n)
	}
	bulk := make([]byte, n+2)
	if _, err := io.ReadFull(r, bulk); err != nil {
		return nil, err
	}
	if bulk[n] != '\r' || bulk[n+1] != '\n' {
		return nil, errProtocol
	}
	return bulk[:n:n], nil
}

func parseInt(text []byte) (int64, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: number %q", errProtocol, text)
	}
	return n, nil
}

// appendCommand writes a command as an array of strings.
func appendCommand(to []byte, args ...string) []byte {
	to = append(to, '*')
	to = strconv.AppendInt(to, int64(len(args)), 10)
	to = append(to, '\r', '\n')
	for _, arg := range args {
		to = append(to, '$')
		to = strconv.AppendInt(to, int64(len(arg)), 10)
		to = append(to, '\r', '\n')
		to = append(to, arg...)
		to = append(to, '\r', '\n')
	}
	return to
}
