package gateway

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// incoming is a decoded message of a client. For an action act and raw are set,
// raw being its protobuf encoding, which may alias the payload.
type incoming struct {
	message *starlingv1.ClientMessage
	act     *starlingv1.Act
	raw     []byte
	routed  *clusterv1.RoutedAct // to be filled in; nil: to be made
}

// Errors of decode; their texts are told to the client.
var (
	errMalformed = errors.New("not a ClientMessage")
	errEmpty     = errors.New("message of no kind known here")
	errText      = errors.New("text is not valid UTF-8")
)

const tagClientAct = 0x12 // ClientMessage.act

// decode reads one message of a client.
func decode(payload []byte, json bool) (incoming, error) {
	if json {
		return decodeJSON(payload)
	}
	if raw, ok := soleAct(payload); ok {
		if m := decodeMove(raw); m != nil {
			return incoming{act: &m.act, raw: raw, routed: &m.routed}, nil
		}
		act := starlingv1.ActFromVTPool()
		if err := act.UnmarshalVT(raw); err != nil {
			return incoming{}, errMalformed
		}
		return finish(incoming{act: act, raw: raw})
	}
	message := &starlingv1.ClientMessage{}
	if err := message.UnmarshalVT(payload); err != nil {
		return incoming{}, errMalformed
	}
	return finish(incoming{message: message})
}

// soleAct finds the bytes of the action in the usual encoding of one.
func soleAct(payload []byte) ([]byte, bool) {
	if len(payload) < 2 || payload[0] != tagClientAct {
		return nil, false
	}
	raw, n := protowire.ConsumeBytes(payload[1:])
	return raw, n == len(payload)-1
}

func decodeJSON(payload []byte) (incoming, error) {
	message := &starlingv1.ClientMessage{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, message); err != nil {
		return incoming{}, errMalformed
	}
	return finish(incoming{message: message})
}

func finish(in incoming) (incoming, error) {
	if in.message != nil {
		if in.message.Kind == nil {
			return incoming{}, errEmpty
		}
		if act := in.message.GetAct(); act != nil {
			raw, err := act.MarshalVT()
			if err != nil {
				return incoming{}, errMalformed
			}
			in.act, in.raw = act, raw
		}
	}
	if in.act != nil && !validText(in.act) || in.message.GetHello() != nil && !validHello(in.message.GetHello()) {
		return incoming{}, errText
	}
	return in, nil
}

// validText says whether all texts of an action are UTF-8, as proto3 asks: one
// that is not would be refused by the clients of everybody who is told of it.
func validText(act *starlingv1.Act) bool {
	switch f := act.Function.(type) {
	case *starlingv1.Act_Speak:
		return utf8.ValidString(f.Speak.GetText())
	case *starlingv1.Act_Spawn:
		return utf8.ValidString(f.Spawn.GetKind()) && validAttributes(f.Spawn.GetAttributes())
	case *starlingv1.Act_SetAttribute:
		return utf8.ValidString(f.SetAttribute.GetName()) && utf8.ValidString(f.SetAttribute.GetValue().GetText())
	case *starlingv1.Act_Call:
		return utf8.ValidString(f.Call.GetFunction())
	case *starlingv1.Act_CreatePlace:
		place := f.CreatePlace.GetPlace()
		return utf8.ValidString(place.GetName()) && utf8.ValidString(place.GetAccess())
	}
	return true
}

func validAttributes(a *starlingv1.Attributes) bool {
	for name, value := range a.GetValues() {
		if !utf8.ValidString(name) || !utf8.ValidString(value.GetText()) {
			return false
		}
	}
	return true
}

func validHello(h *starlingv1.Hello) bool {
	return utf8.ValidString(h.Token) && utf8.ValidString(h.Client) && validAttributes(h.Attributes)
}
