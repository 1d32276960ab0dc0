package main

import (
	"testing"

	"github.com/starling-vr/starling/loadtest/report"
)

func TestWhenAMachineIsDisturbed(t *testing.T) {
	amount := func(s float64) *float64 { return &s }
	for _, c := range []struct {
		others, stolen *float64
		want           bool
	}{
		{nil, nil, false}, // unknown
		{amount(0), amount(0), false},
		{amount(1.5), amount(0.15), false},
		{amount(1.6), amount(0), true},
		{amount(0), amount(0.16), true},
	} {
		r := &report.Run{DurationS: 8, Machine: report.Machine{Cores: 2, OthersCPUS: c.others, StolenCPUS: c.stolen}}
		if got := disturbed(r); got != c.want {
			t.Errorf("others %v, stolen %v: %v", c.others, c.stolen, got)
		}
	}
}
