package trial

import (
	"context"

	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/target"
	"github.com/starling-vr/starling/loadtest/yardstick"
)

// OnYardstick is the same run against a yardstick of one's own.
func (s Spec) OnYardstick(with yardstick.Options) Spec {
	options := target.Options{Yardstick: &with}
	if s.Self != nil {
		options.Binary, options.Log = s.Self.Binary, s.Self.Log
	}
	s.Self, s.Targets, s.Metrics, s.Tokens = &options, nil, nil, nil
	s.Title += ", yardstick"
	return s
}

// RunBeside makes the run, and directly before it (or else after) the same one
// against a yardstick; what that did is in the result.
func RunBeside(ctx context.Context, s Spec, with yardstick.Options, before bool) (*report.Run, error) {
	var runs [2]*report.Run
	specs := [2]Spec{s, s.OnYardstick(with)}
	first := 0
	if before {
		first = 1
	}
	for _, i := range []int{first, 1 - first} {
		var err error
		if runs[i], err = Run(ctx, specs[i]); err != nil {
			return nil, err
		}
	}
	runs[0].Yardstick = report.MeasureOf(runs[1])
	runs[0].Derive()
	return runs[0], nil
}
