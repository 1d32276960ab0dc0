package annotate

import (
	"fmt"
	"strconv"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields that the load tester writes and reads, those of
// starling.annotate.v1.
const (
	requestID, requestText, requestFormat, requestWorkflow   = 1, 2, 3, 4
	responseID, responseFunctions, responseLate, responseErr = 1, 13, 14, 16
	problemCode, problemMessage                              = 1, 2
	formatText, formatHTML                                   = 1, 2
)

// appendRequest appends document number as an AnnotateRequest.
func (s *Spec) appendRequest(dst []byte, number int) []byte {
	dst = protowire.AppendTag(dst, requestID, protowire.BytesType)
	dst = protowire.AppendString(dst, strconv.Itoa(number))
	if s.Workflow != "" {
		dst = protowire.AppendTag(dst, requestWorkflow, protowire.BytesType)
		dst = protowire.AppendString(dst, s.Workflow)
	}
	text, html := s.Corpus.Document(nil, uint64(number), s.Words.Draw(s.Seed, number), false)
	format := uint64(formatText)
	if html {
		format = formatHTML
	}
	dst = protowire.AppendTag(dst, requestFormat, protowire.VarintType)
	dst = protowire.AppendVarint(dst, format)
	dst = protowire.AppendTag(dst, requestText, protowire.BytesType)
	return protowire.AppendBytes(dst, text)
}

// wireMessage is an encoded message to send.
type wireMessage []byte

// wireFate is what the load tester wants to know of an AnnotateResponse.
type wireFate struct {
	id     string
	answer Answer
}

// wireCodec sends messages that were encoded before, and reads of an answer only what
// became of its document: the annotations are received but not decoded, as those of a
// stream over HTTP.
type wireCodec struct{}

// Name implements encoding.CodecV2.
func (wireCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(wireMessage)
	if !ok {
		return nil, fmt.Errorf("a %T to send", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(message)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (wireCodec) Unmarshal(data mem.BufferSlice, v any) error {
	fate, ok := v.(*wireFate)
	if !ok {
		return fmt.Errorf("a %T to receive", v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	return fate.read(buffer.ReadOnlyData())
}

func (f *wireFate) read(b []byte) error {
	*f = wireFate{answer: Answer{Bytes: len(b)}}
	return eachField(b, func(number protowire.Number, value uint64, text []byte) error {
		switch number {
		case responseID:
			f.id = string(text)
		case responseLate:
			f.answer.Late = value != 0
		case responseFunctions:
			return f.function(text)
		case responseErr:
			return eachField(text, func(number protowire.Number, _ uint64, text []byte) error {
				switch number {
				case problemCode:
					f.answer.Code = string(text)
				case problemMessage:
					f.answer.Message = string(text)
				}
				return nil
			})
		}
		return nil
	})
}

// function reads an entry of the map of functions.
func (f *wireFate) function(entry []byte) error {
	var name, fate string
	err := eachField(entry, func(number protowire.Number, _ uint64, text []byte) error {
		switch number {
		case 1:
			name = string(text)
		case 2:
			fate = string(text)
		}
		return nil
	})
	if f.answer.Missing == nil {
		f.answer.Missing = map[string]string{}
	}
	f.answer.Missing[name] = fate
	return err
}

// eachField goes through a message: value is that of a varint, text of what has a length.
func eachField(b []byte, each func(number protowire.Number, value uint64, text []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var value uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := each(number, value, text); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
