package report

// ClassUsage is what the functions of a class used, and what was kept for them.
type ClassUsage struct {
	UsedGBS       float64 `json:"used_gb_s" jsonschema:"Used: memory of each invocation times its run time, summed; GB x second"`
	ReservedGBS   float64 `json:"reserved_gb_s" jsonschema:"R: memory reserved times the measured time; GB x second"`
	ReservedCoreS float64 `json:"reserved_core_s" jsonschema:"R: cores reserved times the measured time; core x second"`
}

// Plus adds times as much of another.
func (u ClassUsage) Plus(other ClassUsage, times float64) ClassUsage {
	return ClassUsage{
		UsedGBS:       u.UsedGBS + times*other.UsedGBS,
		ReservedGBS:   u.ReservedGBS + times*other.ReservedGBS,
		ReservedCoreS: u.ReservedCoreS + times*other.ReservedCoreS,
	}
}

// AddClass adds what functions of a class used.
func (r *Run) AddClass(class string, more ClassUsage) {
	if r.UsageByClass == nil {
		r.UsageByClass = make(map[string]ClassUsage)
	}
	r.UsageByClass[class] = r.UsageByClass[class].Plus(more, 1)
}
