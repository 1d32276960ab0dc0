package world

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Limits of attributes: see starling.v1.Attributes.
const (
	MaxAttributes     = 32
	MaxAttributeName  = 32   // bytes
	MaxAttributeValue = 256  // bytes of a text or an opaque value
	MaxAttributeBytes = 2048 // of the whole set, encoded
)

// ErrAttribute: an attribute, or a set of them, is over a limit or malformed.
var ErrAttribute = errors.New("bad attribute")

// ValidateAttributes says whether a set of attributes is within the limits.
// nil is the empty set.
func ValidateAttributes(attributes *starlingv1.Attributes) error {
	if n := len(attributes.GetValues()); n > MaxAttributes {
		return fmt.Errorf("%w: %d of them: want at most %d", ErrAttribute, n, MaxAttributes)
	}
	for name, value := range attributes.GetValues() {
		if err := ValidateAttribute(name, value); err != nil {
			return err
		}
	}
	if n := attributes.SizeVT(); n > MaxAttributeBytes {
		return fmt.Errorf("%w: %d bytes in all: want at most %d", ErrAttribute, n, MaxAttributeBytes)
	}
	return nil
}

// ValidateAttribute says whether one attribute is within the limits. A value
// must be there, numbers must be finite, names and texts valid UTF-8: decoders
// of other languages refuse a whole message for one that is not.
func ValidateAttribute(name string, value *starlingv1.Value) error {
	if len(name) == 0 || len(name) > MaxAttributeName || !utf8.ValidString(name) {
		return fmt.Errorf("%w: name %.40q: want 1..%d bytes of UTF-8", ErrAttribute, name, MaxAttributeName)
	}
	switch is := value.GetIs().(type) {
	case *starlingv1.Value_Flag, *starlingv1.Value_Integer:
		return nil
	case *starlingv1.Value_Number:
		if math.IsNaN(is.Number) || math.IsInf(is.Number, 0) {
			return fmt.Errorf("%w: %q is %v: want a finite number", ErrAttribute, name, is.Number)
		}
		return nil
	case *starlingv1.Value_Text:
		if len(is.Text) > MaxAttributeValue || !utf8.ValidString(is.Text) {
			return fmt.Errorf("%w: %q: want at most %d bytes of UTF-8", ErrAttribute, name, MaxAttributeValue)
		}
		return nil
	case *starlingv1.Value_Opaque:
		if len(is.Opaque) > MaxAttributeValue {
			return fmt.Errorf("%w: %q is %d bytes: want at most %d", ErrAttribute, name, len(is.Opaque), MaxAttributeValue)
		}
		return nil
	}
	return fmt.Errorf("%w: %q has no value", ErrAttribute, name)
}
