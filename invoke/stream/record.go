package stream

import "unsafe"

// Stride is how far apart records of size bytes lie: a power of two up to 64, or
// a multiple of 64.
func Stride(size int) int {
	if size > 64 {
		return (size + 63) &^ 63
	}
	stride := 1
	for stride < size {
		stride *= 2
	}
	return stride
}

// Ref refers to a record: its first byte, which is aligned to 64 bytes, or to the
// stride where that is less. It is one machine word, so that assembly finds
// addresses in a []Ref.
type Ref struct{ at unsafe.Pointer }

// RefTo refers to a record that lives outside the heap or as long as the Ref does.
func RefTo(record []byte) Ref { return Ref{unsafe.Pointer(unsafe.SliceData(record))} }

// Bytes gives the record, which is size bytes long.
func (r Ref) Bytes(size int) []byte { return unsafe.Slice((*byte)(r.at), size) }

// Pointer gives the address of the record.
func (r Ref) Pointer() unsafe.Pointer { return r.at }

// Decision is what a function says of a record. The two highest bits are read by
// the poller; the others are the function's own (a class, a score).
type Decision uint32

const (
	// Selected hands the record to what the function's Selected outlet leads to.
	Selected Decision = 1 << 31
	// Malformed says that the record made no sense; it is counted, and never selected.
	Malformed Decision = 1 << 30
)

// Selected says whether the record was selected.
func (d Decision) Selected() bool { return d&(Selected|Malformed) == Selected }

// Malformed says whether the record made no sense.
func (d Decision) Malformed() bool { return d&Malformed != 0 }

// Value gives the bits that are the function's own.
func (d Decision) Value() uint32 { return uint32(d &^ (Selected | Malformed)) }
