package kernels

import "github.com/starling-vr/starling/invoke/stream"

//go:generate go run ./generate

//go:noescape
func jetAVX2x1(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetAVX2x2(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetAVX2x4(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetAVX2x8(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetWordsx1(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetWordsx2(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetWordsx4(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetWordsx8(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func wideWordsx1(records *byte, stride int, sums *int32, weights *byte, blocks int)

//go:noescape
func wideWordsx2(records *byte, stride int, sums *int32, weights *byte, blocks int)

//go:noescape
func narrowAVX2(x *byte, sums *int32, weights *byte, pairs int, blocks int)

//go:noescape
func requantiseAVX2(sums *int32, x *byte, shift int, blocks int)

//go:noescape
func poolAVX2(record *byte, x *byte, inputs int, lines int, shift int)

//go:noescape
func jetVNNIx1(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetVNNIx2(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetVNNIx4(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func jetVNNIx16(records *byte, out *stream.Decision, weights *byte, times int)

//go:noescape
func wideVNNIx1(records *byte, stride int, sums *int32, weights *byte, lines int, blocks int)

//go:noescape
func wideVNNIx4(records *byte, stride int, sums *int32, weights *byte, lines int, blocks int)

//go:noescape
func narrowVNNI(x *byte, sums *int32, weights *byte, pairs int, blocks int)
