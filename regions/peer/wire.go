package peer

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// Kind says what an envelope holds: the number of its field in
// starling.cluster.v1.Envelope.
type Kind int32

// The kinds of envelopes.
const (
	KindAct          Kind = 1
	KindControl      Kind = 2
	KindRenew        Kind = 3
	KindWatch        Kind = 4
	KindRead         Kind = 5
	KindParcel       Kind = 6
	KindParcelAck    Kind = 7
	KindRelease      Kind = 8
	KindOutcome      Kind = 16
	KindControlReply Kind = 17
	KindCell         Kind = 18
	KindDigest       Kind = 19
	KindSession      Kind = 20
	KindNotMine      Kind = 21
	KindReleaseReply Kind = 22
	KindWatching     Kind = 23
)

// Message is what an envelope can hold: one of the messages of the kinds above.
type Message interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

// The fields of PeerFrame.
const (
	frameHello     = 1
	frameEnvelopes = 2
	frameWaited    = 3
)

// envelopeSize is the encoded size of an envelope within a frame, and of the
// envelope itself, for a message of size bytes.
func envelopeSize(kind Kind, size int) (total, inner int) {
	inner = protowire.SizeTag(protowire.Number(kind)) + protowire.SizeBytes(size)
	return protowire.SizeTag(frameEnvelopes) + protowire.SizeBytes(inner), inner
}

// appendEnvelope encodes an envelope at the end of a frame.
func appendEnvelope(b []byte, kind Kind, m Message, size int) ([]byte, error) {
	_, inner := envelopeSize(kind, size)
	b = protowire.AppendTag(b, frameEnvelopes, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = protowire.AppendTag(b, protowire.Number(kind), protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	n := len(b)
	b = growTo(b, n+size)
	_, err := m.MarshalToSizedBufferVT(b[n:])
	return b, err
}

// growTo makes b n bytes long, keeping what it holds.
func growTo(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	grown := make([]byte, n, max(n, 2*cap(b)))
	copy(grown, b)
	return grown
}

func appendWaited(b []byte, waited time.Duration) []byte {
	us := min(max(waited.Microseconds(), 0), math.MaxUint32)
	b = protowire.AppendTag(b, frameWaited, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(us))
}

func appendHello(b []byte, hello *clusterv1.PeerHello) ([]byte, error) {
	data, err := hello.MarshalVT()
	if err != nil {
		return b, err
	}
	b = protowire.AppendTag(b, frameHello, protowire.BytesType)
	return protowire.AppendBytes(b, data), nil
}

// parsed is what a frame holds besides its envelopes.
type parsed struct {
	hello  []byte // nil: none
	waited time.Duration
}

// parseFrame checks a frame as a whole, so that nothing of a broken one is
// taken, and reads what is not an envelope.
func parseFrame(data []byte) (parsed, error) {
	var p parsed
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return p, &protocolError{"frame: bad tag"}
		}
		data = data[n:]
		switch {
		case number == frameHello && kind == protowire.BytesType:
			p.hello, n = protowire.ConsumeBytes(data)
		case number == frameEnvelopes && kind == protowire.BytesType:
			_, n = protowire.ConsumeBytes(data)
		case number == frameWaited && kind == protowire.VarintType:
			var us uint64
			us, n = protowire.ConsumeVarint(data)
			p.waited = time.Duration(us&math.MaxUint32) * time.Microsecond
		default: // of a newer version
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return p, &protocolError{"frame: bad field"}
		}
		data = data[n:]
	}
	return p, nil
}

// eachEnvelope calls f with every envelope of a frame that parseFrame took.
func eachEnvelope(data []byte, f func(Kind, []byte) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		data = data[n:]
		if number != frameEnvelopes || kind != protowire.BytesType {
			data = data[protowire.ConsumeFieldValue(number, kind, data):]
			continue
		}
		envelope, n := protowire.ConsumeBytes(data)
		data = data[n:]
		k, payload, err := parseEnvelope(envelope)
		if err != nil {
			return err
		}
		if k == 0 {
			continue
		}
		if err := f(k, payload); err != nil {
			return err
		}
	}
	return nil
}

// parseEnvelope gives the kind and the encoded message of an envelope: of its
// last field, as protobuf has it for a oneof. 0: it is empty.
func parseEnvelope(data []byte) (Kind, []byte, error) {
	var kind Kind
	var payload []byte
	for len(data) > 0 {
		number, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return 0, nil, &protocolError{"envelope: bad tag"}
		}
		data = data[n:]
		if wire == protowire.BytesType {
			payload, n = protowire.ConsumeBytes(data)
			kind = Kind(number)
		} else {
			n = protowire.ConsumeFieldValue(number, wire, data)
		}
		if n < 0 {
			return 0, nil, &protocolError{"envelope: bad field"}
		}
		data = data[n:]
	}
	return kind, payload, nil
}
