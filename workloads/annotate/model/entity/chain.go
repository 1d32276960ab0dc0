package entity

import "math"

// chain computes what a conditional random field expects of one sentence (the
// forward-backward algorithm; notation as in Sutton and McCallum 2012, 4.1), with
// probabilities scaled word by word instead of logarithms.
type chain struct {
	emissions   [][labels]float64
	transitions [16][labels]float64
	squares     [16][labels]float64

	factor    [16][labels]float64 // exp of transitions, 0 where impossible
	potential [][labels]float64   // exp of emissions, each word's largest 1
	forward   [][labels]float64
	backward  [][labels]float64
	marginals [][labels]float64
	gradient  [16][labels]float64 // of transitions
}

// follows says whether label l can stand after label p.
func follows(p, l int) bool {
	if p == start || p == 0 || placeOf(p) == last || placeOf(p) == unit {
		return l == 0 || placeOf(l) == first || placeOf(l) == unit
	}
	return l != 0 && kindOf(l) == kindOf(p) && (placeOf(l) == inner || placeOf(l) == last)
}

// expect sets marginals and the gradient of transitions.
func (c *chain) expect(right []int) {
	n := len(c.emissions)
	c.prepare(n)
	c.goForward(n)
	c.goBackward(n)
	c.gradient = [16][labels]float64{}
	for i := range n {
		var sum float64
		for l := range labels {
			c.marginals[i][l] = c.forward[i][l] * c.backward[i][l]
			sum += c.marginals[i][l]
		}
		for l := range labels {
			c.marginals[i][l] /= sum
		}
		c.expectTransitions(i, right)
	}
}

func (c *chain) prepare(n int) {
	for p := range c.factor {
		for l := range labels {
			c.factor[p][l] = 0
			if (p < labels || p == start) && follows(p, l) {
				c.factor[p][l] = math.Exp(c.transitions[p][l])
			}
		}
	}
	for len(c.potential) < n {
		c.potential = append(c.potential, [labels]float64{})
		c.forward = append(c.forward, [labels]float64{})
		c.backward = append(c.backward, [labels]float64{})
		c.marginals = append(c.marginals, [labels]float64{})
	}
	for i := range n {
		most := math.Inf(-1)
		for _, e := range c.emissions[i] {
			most = max(most, e)
		}
		for l, e := range c.emissions[i] {
			c.potential[i][l] = math.Exp(max(e-most, -40))
		}
	}
}

func (c *chain) goForward(n int) {
	for i := range n {
		var sum float64
		for l := range labels {
			a := c.factor[start][l]
			if i > 0 {
				a = 0
				for p := range labels {
					a += c.forward[i-1][p] * c.factor[p][l]
				}
			}
			c.forward[i][l] = a * c.potential[i][l]
			sum += c.forward[i][l]
		}
		for l := range labels {
			c.forward[i][l] /= sum
		}
	}
}

func (c *chain) goBackward(n int) {
	c.backward[n-1] = [labels]float64{}
	for _, l := range closed {
		c.backward[n-1][l] = 1
	}
	for i := n - 2; i >= 0; i-- {
		var sum float64
		for p := range labels {
			var b float64
			for l := range labels {
				b += c.factor[p][l] * c.potential[i+1][l] * c.backward[i+1][l]
			}
			c.backward[i][p] = b
			sum += b
		}
		for p := range labels {
			c.backward[i][p] /= sum
		}
	}
}

// expectTransitions adds word i's part of the transitions' gradient.
func (c *chain) expectTransitions(i int, right []int) {
	if i == 0 {
		for l := range labels {
			c.gradient[start][l] += c.marginals[0][l]
		}
		c.gradient[start][right[0]]--
		return
	}
	var joint [labels][labels]float64
	var sum float64
	for p := range labels {
		for l := range labels {
			joint[p][l] = c.forward[i-1][p] * c.factor[p][l] * c.potential[i][l] * c.backward[i][l]
			sum += joint[p][l]
		}
	}
	for p := range labels {
		for l := range labels {
			c.gradient[p][l] += joint[p][l] / sum
		}
	}
	c.gradient[right[i-1]][right[i]]--
}

func (c *chain) learn(rate, decay float64) {
	for p := range c.transitions {
		for l := range c.transitions[p] {
			g := c.gradient[p][l] + decay*c.transitions[p][l]
			if g == 0 {
				continue
			}
			c.squares[p][l] += g * g
			c.transitions[p][l] -= rate * g / math.Sqrt(c.squares[p][l]+1e-6)
		}
	}
}
