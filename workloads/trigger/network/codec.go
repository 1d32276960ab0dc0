package network

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A weights file, little-endian:
//
//	magic "STARLTNN", uint16 version (1), uint16 pool, uint32 record bytes,
//	int32 threshold, uint16 layers, uint16 0
//	per layer: uint16 units, uint16 shift
//	per layer: int32 biases, int8 weights, unit by unit
//	uint32 CRC-32C of all that stands before it
const (
	magic      = "STARLTNN"
	version    = 1
	headerSize = len(magic) + 16
	// MostFile is the largest weights file that Decode takes.
	MostFile = 128 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// FileError says why a weights file is not one.
type FileError struct {
	Why string
	// Cause is a *ShapeError or *Error of a file that is whole but wrong.
	Cause error
}

func (e *FileError) Error() string {
	if e.Cause != nil {
		return "weights file: " + e.Cause.Error()
	}
	return "weights file: " + e.Why
}

func (e *FileError) Unwrap() error { return e.Cause }

// Encode writes the network as a weights file.
func (n *Network) Encode() ([]byte, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	b := []byte(magic)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, uint16(n.Shape.Pool))
	b = le.AppendUint32(b, uint32(n.Shape.Size))
	b = le.AppendUint32(b, uint32(n.Threshold))
	b = le.AppendUint16(b, uint16(len(n.Layers)))
	b = le.AppendUint16(b, 0)
	for l := range n.Layers {
		b = le.AppendUint16(b, uint16(n.Layers[l].Units))
		b = le.AppendUint16(b, uint16(n.Layers[l].Shift))
	}
	for l := range n.Layers {
		for _, v := range n.Layers[l].Bias {
			b = le.AppendUint32(b, uint32(v))
		}
		for _, w := range n.Layers[l].Weights {
			b = append(b, byte(w))
		}
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// Decode reads a weights file. The error is a *FileError.
func Decode(file []byte) (*Network, error) {
	wrong := func(format string, args ...any) (*Network, error) {
		return nil, &FileError{Why: fmt.Sprintf(format, args...)}
	}
	le := binary.LittleEndian
	switch {
	case len(file) < headerSize+4 || len(file) > MostFile:
		return wrong("%d bytes", len(file))
	case string(file[:len(magic)]) != magic:
		return wrong("it does not begin with %q", magic)
	case le.Uint16(file[8:]) != version:
		return wrong("version %d, this program reads %d", le.Uint16(file[8:]), version)
	}
	body := file[:len(file)-4]
	if want, got := le.Uint32(file[len(body):]), crc32.Checksum(body, castagnoli); want != got {
		return wrong("damaged: checksum %08x, stated %08x", got, want)
	}
	n := &Network{
		Shape:     Shape{Pool: int(le.Uint16(file[10:])), Size: int(le.Uint32(file[12:]))},
		Threshold: int32(le.Uint32(file[16:])),
	}
	layers := int(le.Uint16(file[20:]))
	rest := body[headerSize:]
	if le.Uint16(file[22:]) != 0 || layers > MostLayers || len(rest) < 4*layers {
		return wrong("its header makes no sense")
	}
	shifts := make([]int, layers)
	for l := range layers {
		n.Shape.Units = append(n.Shape.Units, int(le.Uint16(rest)))
		shifts[l] = int(le.Uint16(rest[2:]))
		rest = rest[4:]
	}
	if err := n.Shape.Check(); err != nil {
		return nil, &FileError{Cause: err}
	}
	if err := n.decodeLayers(rest, shifts); err != nil {
		return nil, err
	}
	if err := n.Check(); err != nil {
		return nil, &FileError{Cause: err}
	}
	return n, nil
}

func (n *Network) decodeLayers(rest []byte, shifts []int) error {
	want, inputs := 0, n.Shape.Inputs()
	for _, units := range n.Shape.Units {
		want += units * (4 + inputs)
		inputs = units
	}
	if len(rest) != want {
		return &FileError{Why: fmt.Sprintf("%d bytes of weights, %s has %d", len(rest), &n.Shape, want)}
	}
	inputs = n.Shape.Inputs()
	for l, units := range n.Shape.Units {
		layer := Layer{Inputs: inputs, Units: units, Shift: shifts[l], Bias: make([]int32, units), Weights: make([]int8, units*inputs)}
		for o := range layer.Bias {
			layer.Bias[o] = int32(binary.LittleEndian.Uint32(rest[4*o:]))
		}
		rest = rest[4*units:]
		for i := range layer.Weights {
			layer.Weights[i] = int8(rest[i])
		}
		rest = rest[len(layer.Weights):]
		n.Layers = append(n.Layers, layer)
		inputs = units
	}
	return nil
}
