package entity

import "github.com/starling-vr/starling/workloads/annotate/document"

// Labels say of a token where in a mention it stands (BILOU; Ratinov and Roth 2009):
// 0 is outside; each kind has four: the first token of a mention of several, one
// inside, the last one, and the only one of a mention of one.
const (
	kinds  = 3
	labels = 1 + 4*kinds

	first = 0
	inner = 1
	last  = 2
	unit  = 3
)

func label(k document.EntityKind, place int) int { return 1 + 4*(int(k)-1) + place }

func kindOf(l int) document.EntityKind { return document.EntityKind((l + 3) / 4) }

func placeOf(l int) int { return (l - 1) & 3 }

// closed are the labels after which no mention is under way, outside first.
var closed = [...]int{0, label(1, last), label(1, unit), label(2, last), label(2, unit), label(3, last), label(3, unit)}

// opening are the labels that can stand where no mention is under way.
var opening = [...]int{0, label(1, first), label(1, unit), label(2, first), label(2, unit), label(3, first), label(3, unit)}

// labelsOf turns marks into labels. Marks of kinds that there is no label for are outside;
// one that continues nothing begins a mention.
func labelsOf(marks []document.EntityMark) []int {
	out := make([]int, len(marks))
	for start := 0; start < len(marks); {
		k := marks[start].Kind()
		end := start + 1
		if k == document.NoEntity || int(k) > kinds {
			start = end
			continue
		}
		for end < len(marks) && marks[end].Kind() == k && !marks[end].Begins() {
			end++
		}
		fill(out[start:end], k)
		start = end
	}
	return out
}

func fill(out []int, k document.EntityKind) {
	if len(out) == 1 {
		out[0] = label(k, unit)
		return
	}
	for i := range out {
		out[i] = label(k, inner)
	}
	out[0], out[len(out)-1] = label(k, first), label(k, last)
}

func markOf(l int) document.EntityMark {
	if l == 0 {
		return 0
	}
	if p := placeOf(l); p == first || p == unit {
		return document.Begin(kindOf(l))
	}
	return document.Inside(kindOf(l))
}
