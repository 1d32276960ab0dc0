package container

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z.]{1,31}`), 0, 6, rapid.ID[string]).Draw(t, "names")
		var sections []Section
		for _, n := range names {
			sections = append(sections, Section{n, rapid.SliceOf(rapid.Byte()).Draw(t, n)})
		}
		got, err := Decode(Encode(7, sections), 7)
		if err != nil || len(got) != len(sections) {
			t.Fatalf("%d sections of %d, %v", len(got), len(sections), err)
		}
		for _, s := range sections {
			if b, err := got.Get(s.Name, 1); err != nil || !bytes.Equal(b, s.Bytes) {
				t.Fatalf("%s: %v", s.Name, err)
			}
		}
	})
}

// A flipped bit anywhere but in the gaps between sections is noticed.
func TestEveryFlippedBitOfASectionIsNoticed(t *testing.T) {
	file := Encode(1, []Section{{"weights", []byte("0123456789")}})
	for i := range file {
		inGap := i >= headerSize+entrySize && i < len(file)-10
		for bit := range 8 {
			changed := bytes.Clone(file)
			changed[i] ^= 1 << bit
			s, err := Decode(changed, 1)
			var corrupt *CorruptError
			var version *VersionError
			switch {
			case inGap && err != nil:
				t.Fatalf("byte %d of a gap: %v", i, err)
			case !inGap && err == nil && len(s) == 1:
				t.Fatalf("byte %d, bit %d: not noticed", i, bit)
			case err != nil && !errors.As(err, &corrupt) && !errors.As(err, &version):
				t.Fatalf("byte %d: %v has no type", i, err)
			}
		}
	}
}

func TestMissingAndMisshapenSections(t *testing.T) {
	s, err := Decode(Encode(1, []Section{{"weights", []byte("0123456789")}}), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		unit int
	}{{"weights", 4}, {"other", 1}} {
		var corrupt *CorruptError
		if _, err := s.Get(c.name, c.unit); !errors.As(err, &corrupt) || corrupt.Section != c.name {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(1, []Section{{"a", []byte("x")}, {"b", nil}}))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, file []byte) {
		if s, err := Decode(file, 1); err == nil {
			for name := range s {
				if _, err := s.Get(name, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
