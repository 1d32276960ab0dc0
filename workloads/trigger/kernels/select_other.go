//go:build !amd64

package kernels

import (
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Available says whether the machine has the instructions.
func (s Set) Available() bool { return s == PureGo }

func assembled(*network.Network, Set) []stream.Kernel { return nil }
