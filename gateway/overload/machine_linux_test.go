package overload

import "testing"

func TestParseStat(t *testing.T) {
	for _, c := range []struct {
		text      string
		idle, all uint64
		ok        bool
	}{
		{"cpu  1 2 3 40 5 6 7 8 9 10\ncpu0 1", 45, 72, true},
		{"cpu  1 2 3 40 5 6 7 8 9 10", 0, 0, false}, // cut off
		{"cpu  1 2 3 40 5 6 7\n", 0, 0, false},
		{"cpu  1 2 3 x 5 6 7 8\n", 0, 0, false},
		{"intr 1 2 3 4 5 6 7 8\n", 0, 0, false},
		{"", 0, 0, false},
	} {
		if idle, all, ok := parseStat([]byte(c.text)); idle != c.idle || all != c.all || ok != c.ok {
			t.Errorf("%q: %d of %d, %v", c.text, idle, all, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("cpu  1 2 3 40 5 6 7 8 9 10\ncpu0 1"))
	f.Add([]byte("cpu  1 2 3 40"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, _, ok := parseStat(text); ok && len(text) < len("cpu 0 0 0 0 0 0 0 0\n") {
			t.Errorf("%q taken", text)
		}
	})
}
