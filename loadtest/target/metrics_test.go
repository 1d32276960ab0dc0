package target

import (
	"strings"
	"testing"

	"github.com/starling-vr/starling/loadtest/generator"
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

// The run time of functions of workflows is counted once, without that of their workflows.
func TestComputeIsOfThePartsOfWorkflows(t *testing.T) {
	figures, err := parse(strings.NewReader(`starling_function_busy_seconds_total{class="hard",function="annotate.default",shape="workflow"} 5
starling_function_busy_seconds_total{class="hard",function="annotate.default/tokens",shape="unary"} 1.5
starling_function_busy_seconds_total{class="hard",function="annotate.default/speech",shape="unary"} 2
starling_invoke_used_gigabyte_seconds_total{class="hard"} 7
starling_invoke_reserved_core_seconds_total{class="hard"} 3
`))
	if err != nil {
		t.Fatal(err)
	}
	var u generator.Usage
	figures.addTo(&u)
	if u.Compute == nil || *u.Compute != 3.5 || *u.Used != 7 || u.Classes["hard"].ReservedCoreS != 3 {
		t.Errorf("%+v", u)
	}
	var none generator.Usage
	figures = nil
	if figures.addTo(&none); none.Compute != nil {
		t.Error("a server without workflows has no compute")
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
