package trigger

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestEventsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &Event{
			Record: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "record"), Class: rapid.IntRange(-1, 7).Draw(t, "class"),
			Version: rapid.Uint64().Draw(t, "version"), Sequence: rapid.Uint64().Draw(t, "sequence"), Poller: rapid.IntRange(0, 64).Draw(t, "poller"),
			Score: rapid.Int32().Draw(t, "score"), Energy: rapid.Float64().Draw(t, "energy"),
			Logits: rapid.SliceOfN(rapid.Int32(), 0, 8).Draw(t, "logits"),
		}
		b := AppendEvent(nil, e)
		back, err := DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(AppendEvent(nil, back), b) || back.Class != e.Class || back.Sequence != e.Sequence || !reflect.DeepEqual(append([]int32{}, e.Logits...), append([]int32{}, back.Logits...)) {
			t.Fatalf("%+v came back as %+v", e, back)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(AppendEvent(nil, &Event{Record: []byte("sixteen bytes ok"), Logits: []int32{1, -2}}))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvent(b)
		if err != nil {
			var wrong *EncodingError
			if !errors.As(err, &wrong) {
				t.Fatal(err)
			}
			return
		}
		if got := AppendEvent(nil, e); !bytes.Equal(got, b) {
			t.Fatalf("%x came back as %x", b, got)
		}
	})
}
