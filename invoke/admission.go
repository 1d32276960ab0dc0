package invoke

import "strings"

// NotAdmittedError says why a function was not deployed: every test that it
// failed, with the arithmetic.
type NotAdmittedError struct {
	Function  string
	Shortages []Shortage
}

// Shortage is one failed admission test.
type Shortage struct {
	// Resource is what is short: "spec", "cores", "memory", "deadline", ...
	Resource string
	// Arithmetic is the calculation that failed, for a person to read.
	Arithmetic string
}

func (e *NotAdmittedError) Error() string {
	parts := make([]string, 0, len(e.Shortages))
	for _, s := range e.Shortages {
		parts = append(parts, s.Resource+": "+s.Arithmetic)
	}
	return "function " + e.Function + " not admitted: " + strings.Join(parts, "; ")
}
