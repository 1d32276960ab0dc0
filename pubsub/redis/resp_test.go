package redis

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/starling-vr/starling/pubsub"
)

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-MOVED 1 127.0.0.1:7000\r\n", ":12\r\n", "$3\r\nabc\r\n", "$-1\r\n",
		"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n", "*1\r\n*0\r\n", "$99999999999\r\n", "*-1\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 64)
		var in reply
		for readReply(r, &in) == nil {
			if len(in.items) > maxItems || len(in.text) > len(data) {
				t.Fatalf("%d items, %d bytes of text", len(in.items), len(in.text))
			}
		}
	})
}

func TestCommandsAreReadAsTheyAreWritten(t *testing.T) {
	var in reply
	written := appendCommand(nil, "SSUBSCRIBE", "", "a\r\nb")
	if err := readReply(bufio.NewReader(bytes.NewReader(written)), &in); err != nil {
		t.Fatal(err)
	}
	if len(in.items) != 3 || string(in.items[0]) != "SSUBSCRIBE" || len(in.items[1]) != 0 || string(in.items[2]) != "a\r\nb" {
		t.Errorf("read %q", in.items)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, ok := decodeMessage(data); ok {
			if again, err := encodeMessage(&m, m.Arrived); err != nil {
				t.Fatal(err)
			} else if n, ok := decodeMessage(again); !ok || n.Fence != m.Fence || n.Cell != m.Cell || !bytes.Equal(n.Steps, m.Steps) {
				t.Fatalf("%+v became %+v", m, n)
			}
		}
		if d, ok := decodeDigest(data); ok {
			again, err := encodeDigest(&pubsub.Digest{Fence: d.Fence, Cells: d.Cells}, d.Sent)
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := decodeDigest(again); !ok || e.Fence != d.Fence || len(e.Cells) != len(d.Cells) {
				t.Fatalf("%+v became %+v", d, e)
			}
		}
	})
}
