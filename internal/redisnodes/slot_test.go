package redisnodes

import "testing"

// The values are those of CLUSTER KEYSLOT of Redis 7.0.15, and of the example
// of the Cluster specification for "123456789" (0x31C3).
func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"123456789": 0x31C3, "foo": 12182, "{foo}bar": 12182, "a{foo}{bar}": 12182, "": 0,
		"foo{}{bar}": 8363, "{": 4092,
	} {
		if got := Slot(key); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
		}
	}
}

func FuzzParseRedirect(f *testing.F) {
	for _, seed := range []string{"MOVED 3999 127.0.0.1:6381", "ASK 1 [::1]:7000", "MOVED 99999 a:1", "MOVED", "ERR no", "ASK x y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		if r, ok := ParseRedirect(message); ok && (r.Slot < 0 || r.Slot >= Slots || r.Address == "") {
			t.Fatalf("%q was read as %+v", message, r)
		}
	})
}
