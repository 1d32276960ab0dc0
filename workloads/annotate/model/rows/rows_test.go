package rows

import "testing"

func TestNewTableWantsAPowerOfTwoOfRows(t *testing.T) {
	for n, want := range map[int]bool{0: false, 63: false, 64: true, 65: false, 128: true, 192: false, 256: true} {
		if _, ok := NewTable(make([]int8, n), Width64); ok != want {
			t.Errorf("%d weights: %v", n, ok)
		}
	}
}

func TestSumOfMostRowsDoesNotWrap(t *testing.T) {
	weights := make([]int8, Width64)
	for i := range weights {
		weights[i] = -127
	}
	table, _ := NewTable(weights, Width64)
	var sum [Width64]int16
	table.Sum64(&sum, make([]uint32, Most))
	if sum[5] != -127*Most {
		t.Errorf("sum is %d", sum[5])
	}
	table.Sum64(&sum, nil)
	if sum[5] != 0 {
		t.Error("the sum of no rows is not zero")
	}
}
