package network

import "fmt"

// Classes is how many classes the networks of the family tell apart.
const Classes = 4

// OperationsError says that no network of the family takes about so many operations
// for a record of a size.
type OperationsError struct {
	Wanted, Size int
	// Nearest is what the nearest network takes.
	Nearest int
}

func (e *OperationsError) Error() string {
	return fmt.Sprintf("no network takes %d operations for %d bytes: the nearest takes %d", e.Wanted, e.Size, e.Nearest)
}

// Family gives the network of the generated family that comes nearest to ops
// operations for records of size bytes: size->2, size->4 or size->h->16->4, or the
// same over pooled inputs, for large records with few operations. A shape more than a tenth away is an
// *OperationsError: a network must at least look at each byte.
func Family(ops, size int) (Shape, error) {
	var best Shape
	var reason error
	distance := func(s *Shape) int { return max(s.Operations()-ops, ops-s.Operations()) }
	consider := func(s Shape) {
		if err := s.Check(); err != nil {
			reason = err
		} else if best.Units == nil || distance(&s) < distance(&best) {
			best = s
		}
	}
	for _, pool := range []int{1, PoolLine, PoolLines} {
		consider(Shape{size, pool, []int{2}})
		consider(Shape{size, pool, []int{Classes}})
		inputs := size / pool
		fixed := 2 * 16 * Classes
		if pool > 1 {
			fixed += size
		}
		each := 2 * (inputs + 16) // what a hidden unit takes
		hidden := (ops - fixed + 2*each) / (4 * each) * 4
		if hidden = min(hidden, MostUnits); hidden >= 8 {
			consider(Shape{size, pool, []int{hidden, 16, Classes}})
		}
	}
	if best.Units == nil {
		return Shape{}, reason
	}
	if distance(&best) > ops/10 {
		return Shape{}, &OperationsError{ops, size, best.Operations()}
	}
	return best, nil
}
