package redis

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/starling-vr/starling/world"
)

func TestOutcome(t *testing.T) {
	a := &world.Append{Shard: world.ShardID{Place: 7}, Expect: world.Tail{Epoch: 1, Claim: 2, Sequence: 3}}
	for text, check := range map[string]func(error) bool{
		":1\r\n":  func(err error) bool { return err == nil },
		":0\r\n":  func(err error) bool { return err != nil },
		"+OK\r\n": func(err error) bool { return err != nil },
		"$11\r\n2 9 4 owner\r\n": func(err error) bool {
			var foreign *world.ForeignTailError
			return errors.As(err, &foreign) && foreign.Found == world.Holder{Tail: world.Tail{Epoch: 2, Claim: 9, Sequence: 4}, Owner: "owner"} && foreign.Expect == a.Expect
		},
		"$0\r\n\r\n": func(err error) bool {
			var foreign *world.ForeignTailError
			return errors.As(err, &foreign) && foreign.Found == world.Holder{}
		},
		"$3\r\nbad\r\n":                     func(err error) bool { return err != nil },
		"-MOVED 3999 127.0.0.1:6381\r\n":    func(err error) bool { return mayPass(err.Error()) },
		"-ERR Function not found\r\n":       func(err error) bool { return mayPass(err.Error()) },
		"-OOM command not allowed when\r\n": func(err error) bool { return err != nil && !mayPass(err.Error()) },
	} {
		in, err := readReply(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := outcome(in, a); !check(got) {
			t.Errorf("%q gave %v", text, got)
		}
	}
}

// What a node sends is read whole or refused, without reading past it.
func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{":1\r\n", "$-1\r\n", "$3\r\nabc\r\n", "-ERR no\r\n", "+OK\r\n", "*1\r\n:1\r\n", "$99999999999\r\n", ":x\r\n", "$2\r\nabc", "\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const after = ":42\r\n"
		r := bufio.NewReader(bytes.NewReader(append(bytes.Clone(data), after...)))
		in, err := readReply(r)
		if err != nil {
			return
		}
		if in.kind == '$' && in.text != nil && int64(len(in.text)) != in.number {
			t.Fatalf("%q: a string of %d bytes, %d announced", data, len(in.text), in.number)
		}
	})
}
