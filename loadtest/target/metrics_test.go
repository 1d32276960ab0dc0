package target

import (
	"strings"
	"testing"

	"github.com/starling-vr/starling/loadtest/exposition"
	"github.com/starling-vr/starling/loadtest/generator"
)

// The run time of functions of workflows is counted once, without that of their workflows.
func TestComputeIsOfThePartsOfWorkflows(t *testing.T) {
	all, err := exposition.Parse(strings.NewReader(`starling_function_busy_seconds_total{class="hard",function="annotate.default",shape="workflow"} 5
starling_function_busy_seconds_total{class="hard",function="annotate.default/tokens",shape="unary"} 1.5
starling_function_busy_seconds_total{class="hard",function="annotate.default/speech",shape="unary"} 2
starling_invoke_used_gigabyte_seconds_total{class="hard"} 7
starling_invoke_reserved_core_seconds_total{class="hard"} 3
`))
	if err != nil {
		t.Fatal(err)
	}
	var u generator.Usage
	addUsage(&u, all)
	if u.Compute == nil || *u.Compute != 3.5 || *u.Used != 7 || u.Classes["hard"].ReservedCoreS != 3 {
		t.Errorf("%+v", u)
	}
	var none generator.Usage
	if addUsage(&none, nil); none.Compute != nil {
		t.Error("a server without workflows has no compute")
	}
}
