package target

import (
	"strings"

	"github.com/starling-vr/starling/loadtest/exposition"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
)

const (
	usedMetric   = "starling_invoke_used_gigabyte_seconds_total"
	memoryMetric = "starling_invoke_reserved_gigabyte_seconds_total"
	coresMetric  = "starling_invoke_reserved_core_seconds_total"
	busyMetric   = "starling_function_busy_seconds_total"
)

// addUsage adds Used and R of the workload model, GB x second, in all and by class.
func addUsage(u *generator.Usage, all exposition.Series) {
	u.Used, u.Reserved = plus(u.Used, sum(all, usedMetric)), plus(u.Reserved, sum(all, memoryMetric))
	u.Compute = plus(u.Compute, computeOfParts(all))
	for key, value := range all {
		name, _, _ := strings.Cut(key, "{")
		class := exposition.Label(key, "class")
		if class == "" {
			continue
		}
		switch name {
		case usedMetric:
			u.AddClass(class, report.ClassUsage{UsedGBS: value})
		case memoryMetric:
			u.AddClass(class, report.ClassUsage{ReservedGBS: value})
		case coresMetric:
			u.AddClass(class, report.ClassUsage{ReservedCoreS: value})
		}
	}
}

func sum(all exposition.Series, name string) *float64 {
	if value, found := all.Sum(name); found {
		return &value
	}
	return nil
}

// computeOfParts is the run time of the functions of workflows, which are named
// workflow/function: without that of their workflows, which would count it twice.
func computeOfParts(all exposition.Series) *float64 {
	var total *float64
	for key, value := range all {
		if strings.HasPrefix(key, busyMetric+"{") && strings.Contains(exposition.Label(key, "function"), "/") {
			total = plus(total, &value)
		}
	}
	return total
}
