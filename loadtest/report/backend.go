package report

import "fmt"

// What a run drives: the values of Run.Backend.
const (
	Starling  = "starling"
	Yardstick = "yardstick"
)

// Behind says in words what was driven, as far as that is known.
func (r *Run) Behind() string {
	switch {
	case r.Backend == Yardstick && r.WaitMS > 0:
		return fmt.Sprintf("yardstick that waits %g ms", r.WaitMS)
	case r.Backend == Yardstick:
		return "yardstick"
	case r.Store != "":
		return "store " + r.Store + ", durability " + r.Durability
	}
	return ""
}
