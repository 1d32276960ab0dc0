package training

import (
	"math"
	"testing"
)

func TestPrincipalAxes(t *testing.T) {
	// 3 along (1,1)/√2, 1 along (1,-1)/√2.
	axes := principalAxes([][]float64{{2, 1}, {1, 2}}, 1)
	if len(axes) != 1 || math.Abs(math.Abs(float64(axes[0][0]))-math.Sqrt2/2) > 1e-6 || math.Abs(float64(axes[0][0]-axes[0][1])) > 1e-6 {
		t.Errorf("axes %v", axes)
	}
}
