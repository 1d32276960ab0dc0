package peer

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec for all other messages
	"google.golang.org/grpc/mem"
)

// frame is a PeerFrame in its encoded form. Envelopes are written straight into
// it and read straight from it, without a message in between.
type frame struct {
	out *[]byte    // to be sent; goes back to framePool when gRPC is done with it; nil: an empty frame
	in  mem.Buffer // received; free it
}

// Codec hands frames through as they are, and everything else (the operators'
// service) to gRPC's own codec. On the wire both are protobuf.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	if f.out == nil {
		return nil, nil
	}
	return mem.BufferSlice{mem.NewBuffer(f.out, framePool)}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	f.in = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

// framePool keeps the buffers of frames.
var framePool = &bufferPool{}

type bufferPool struct{ pool sync.Pool }

const (
	newFrameBytes  = 8 << 10
	keepFrameBytes = 256 << 10 // larger buffers are left to the garbage collector
)

// Get gives an empty buffer with room for n bytes or more.
func (p *bufferPool) Get(n int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok && cap(*b) >= n {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, max(n, newFrameBytes))
	return &b
}

// Put takes a buffer back.
func (p *bufferPool) Put(b *[]byte) {
	if cap(*b) <= keepFrameBytes {
		p.pool.Put(b)
	}
}

// protocolError is what a peer sent that is no PeerFrame.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return fmt.Sprintf("peer broke the protocol: %s", e.what) }
