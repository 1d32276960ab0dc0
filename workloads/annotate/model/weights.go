package model

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/container"
	"github.com/starling-vr/starling/workloads/annotate/model/embedding"
	"github.com/starling-vr/starling/workloads/annotate/model/entity"
	"github.com/starling-vr/starling/workloads/annotate/model/hugepages"
	"github.com/starling-vr/starling/workloads/annotate/model/sentiment"
	"github.com/starling-vr/starling/workloads/annotate/model/speech"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// Version is that of the sections' meaning: it grows whenever features, tags or
// labels change, so that no program runs models that were trained for another.
const Version = 2

// Weights are what Models are made of.
type Weights struct {
	Words     vocabulary.Words
	Speech    []int8
	Entity    entity.Weights
	Sentiment sentiment.Weights
	Vectors   []int8
}

// New makes models of weights. It fails when their shapes do not fit each other.
func New(w Weights) (*Models, error) {
	v, err := vocabulary.New(w.Words)
	if err != nil {
		return nil, err
	}
	m := &Models{Vocabulary: v}
	if m.Tagger, err = speech.New(v, w.Speech); err != nil {
		return nil, err
	}
	if m.Recognizer, err = entity.New(v, w.Entity); err != nil {
		return nil, err
	}
	if m.Classifier, err = sentiment.New(w.Sentiment); err != nil {
		return nil, err
	}
	if m.Vectors, err = embedding.New(v, w.Vectors); err != nil {
		return nil, err
	}
	return m, nil
}

// Open reads a file of models and checks it whole. A file that was damaged or cut
// gives a *container.CorruptError, one of another version a *container.VersionError.
func Open(file []byte) (*Models, error) {
	sections, err := container.Decode(file, Version)
	if err != nil {
		return nil, err
	}
	w, err := decode(sections)
	if err != nil {
		return nil, err
	}
	m, err := New(w)
	if err != nil {
		return nil, &container.CorruptError{Reason: err.Error()}
	}
	return m, nil
}

// Encode writes a file of models.
func (w *Weights) Encode() []byte {
	parameters := binary.LittleEndian.AppendUint32(nil, math.Float32bits(w.Sentiment.Bias))
	parameters = binary.LittleEndian.AppendUint32(parameters, math.Float32bits(w.Sentiment.Scale))
	return container.Encode(Version, []container.Section{
		{Name: "vocabulary.hash", Bytes: little(w.Words.Hash)},
		{Name: "vocabulary.cluster", Bytes: little(w.Words.Cluster)},
		{Name: "vocabulary.class", Bytes: w.Words.Class},
		{Name: "vocabulary.only", Bytes: little(w.Words.Only)},
		{Name: "vocabulary.nameless", Bytes: w.Words.Nameless},
		{Name: "vocabulary.rarity", Bytes: w.Words.Rarity},
		{Name: "speech.weights", Bytes: little(w.Speech)},
		{Name: "entity.emissions", Bytes: little(w.Entity.Emissions)},
		{Name: "entity.transitions", Bytes: little(w.Entity.Transitions)},
		{Name: "sentiment.features", Bytes: little(w.Sentiment.Features)},
		{Name: "sentiment.parameters", Bytes: parameters},
		{Name: "embedding.vectors", Bytes: little(w.Vectors)},
	})
}

type number interface {
	~int8 | ~uint8 | ~int16 | ~uint16 | ~uint32
}

// little gives the little-endian bytes of numbers.
func little[T number](x []T) []byte {
	out, err := binary.Append(nil, binary.LittleEndian, x)
	if err != nil {
		panic(err) // numbers of fixed size have bytes
	}
	return out
}

// reader reads sections until the first that is missing or misshapen.
type reader struct {
	sections container.Sections
	err      error
}

func read[T number](r *reader, name string) []T {
	var one T
	size := int(unsafe.Sizeof(one))
	b, err := r.sections.Get(name, size)
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return nil
	}
	out := hugepages.Make[T](len(b) / size)
	if size == 1 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(out))), len(out)), b)
		return out
	}
	if _, err := binary.Decode(b, binary.LittleEndian, out); err != nil && r.err == nil {
		r.err = &container.CorruptError{Section: name, Reason: err.Error()}
	}
	return out
}

func decode(sections container.Sections) (Weights, error) {
	r := &reader{sections: sections}
	w := Weights{
		Words: vocabulary.Words{
			Hash: read[uint32](r, "vocabulary.hash"), Cluster: read[uint16](r, "vocabulary.cluster"),
			Class: read[uint8](r, "vocabulary.class"), Only: read[document.Tag](r, "vocabulary.only"),
			Nameless: read[uint8](r, "vocabulary.nameless"), Rarity: read[uint8](r, "vocabulary.rarity"),
		},
		Speech:  read[int8](r, "speech.weights"),
		Entity:  entity.Weights{Emissions: read[int8](r, "entity.emissions"), Transitions: read[int16](r, "entity.transitions")},
		Vectors: read[int8](r, "embedding.vectors"),
	}
	w.Sentiment.Features = read[int8](r, "sentiment.features")
	parameters := read[uint32](r, "sentiment.parameters")
	if r.err == nil && len(parameters) != 2 {
		r.err = &container.CorruptError{Section: "sentiment.parameters", Reason: "there are not two"}
	}
	if r.err != nil {
		return Weights{}, r.err
	}
	w.Sentiment.Bias, w.Sentiment.Scale = math.Float32frombits(parameters[0]), math.Float32frombits(parameters[1])
	return w, nil
}
