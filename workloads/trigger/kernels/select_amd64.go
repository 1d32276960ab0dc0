package kernels

import (
	"golang.org/x/sys/cpu"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Available says whether the machine has the instructions.
func (s Set) Available() bool {
	switch s {
	case PureGo:
		return true
	case AVX2:
		return cpu.X86.HasAVX2
	case VNNI:
		return cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW &&
			cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI
	}
	return false
}

// assembled gives the kernels in assembly, nil for PureGo.
func assembled(n *network.Network, set Set) []stream.Kernel {
	switch {
	case set == PureGo:
		return nil
	case isJet(n) && set == VNNI:
		return jetVNNI(n)
	case isJet(n):
		return jetAVX2(n)
	}
	d := packDense(n, set)
	most := 0
	for _, units := range n.Shape.Units {
		most = max(most, units)
	}
	run := d.run(n.Shape.Units[len(n.Shape.Units)-1], most)
	return ladder(func(int) func([]stream.Ref, []stream.Decision) { return run })
}
