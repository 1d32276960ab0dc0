package exposition

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const sample = "# HELP a b\n# TYPE a counter\na 1.5\na_total{x=\"1 2\",y=\"}\"} 2\na_total{x=\"2\"} 3e2\na_total_of_something 5\n\nb NaN\n"

func TestSeriesAreReadAndSummed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, sample)
	}))
	defer server.Close()
	got, err := Read(context.Background(), server.URL+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"a": 1.5, "a_total": 302, "a_total_of_something": 5} {
		if sum, found := got.Sum(name); sum != want || !found {
			t.Errorf("%s: %v, %v", name, sum, found)
		}
	}
	if _, found := got.Sum("c"); found {
		t.Error("found what is not there")
	}
	if _, err := Read(context.Background(), server.URL+"/other"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestLabel(t *testing.T) {
	const key = `m{class="hard",function="a/b",other_class="soft"}`
	for name, want := range map[string]string{"class": "hard", "function": "a/b", "other_class": "soft", "shape": ""} {
		if got := Label(key, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := Label("m", "class"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNoMetricsIsRefused(t *testing.T) {
	for _, bad := range []string{"a", "a b\n", "<html>", "x y\n"} {
		if _, err := Parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(strings.NewReader(text))
		if err == nil && got == nil {
			t.Error("nothing")
		}
		for key := range got {
			Label(key, "class")
		}
		got.Sum("a")
	})
}
