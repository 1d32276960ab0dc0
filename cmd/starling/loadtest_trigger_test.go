package main

import "testing"

func TestOperationsAreReadAsRatesAre(t *testing.T) {
	for text, want := range map[string]operations{"1000000": 1_000_000, "1e9": 1_000_000_000, "0": 0, "-1": 0, "1.5": 0, "x": 0, "NaN": 0, "1e99": 0} {
		var got operations
		if err := got.Set(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}
