package target

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader("# HELP a b\n# TYPE a counter\na 1.5\na_total{x=\"1 2\",y=\"}\"} 2\na_total{x=\"2\"} 3e2\n\nb NaN\n"))
	if err != nil || got["a"] != 1.5 || got["a_total"] != 302 || got.get("c") != nil || *got.get("a") != 1.5 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"a", "a b\n", "<html>"} {
		if _, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a 1\nb{c=\"d\"} 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parse(strings.NewReader(text)); err == nil && got == nil {
			t.Error("nothing")
		}
	})
}
