// Package container is the file format of trained models: named sections of bytes,
// each with a checksum.
//
// All numbers are little-endian. A file begins with a header of 16 bytes: the magic
// "STARLMDL", the version of what the sections mean (uint32), and the number of
// sections (uint32). An entry of 48 bytes for each section follows: its name (32
// bytes, filled up with zeros), offset and size (uint32 each), CRC-32C of its bytes,
// and CRC-32C of the entry's 44 bytes before. Sections begin at multiples of 64.
package container

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

const (
	magic       = "STARLMDL"
	headerSize  = 16
	entrySize   = 48
	nameSize    = 32
	mostEntries = 1 << 10
	alignment   = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Section is a named piece of a file.
type Section struct {
	Name  string
	Bytes []byte
}

// CorruptError says that a file is no file of models, or not as it was written.
type CorruptError struct {
	Section string // "" for the file as a whole
	Reason  string
}

func (e *CorruptError) Error() string {
	if e.Section == "" {
		return "models: " + e.Reason
	}
	return fmt.Sprintf("models: section %q: %s", e.Section, e.Reason)
}

// VersionError says that a file is of another version than this program reads.
type VersionError struct{ Got, Want uint32 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("models: the file has version %d, this program reads %d", e.Got, e.Want)
}

// Encode writes sections. Names must be shorter than 32 bytes and the whole below 4 GiB.
func Encode(version uint32, sections []Section) []byte {
	out := make([]byte, headerSize+entrySize*len(sections))
	copy(out, magic)
	binary.LittleEndian.PutUint32(out[8:], version)
	binary.LittleEndian.PutUint32(out[12:], uint32(len(sections)))
	for i, s := range sections {
		out = append(out, make([]byte, -len(out)&(alignment-1))...)
		e := out[headerSize+entrySize*i:][:entrySize]
		copy(e[:nameSize-1], s.Name)
		binary.LittleEndian.PutUint32(e[32:], uint32(len(out)))
		binary.LittleEndian.PutUint32(e[36:], uint32(len(s.Bytes)))
		binary.LittleEndian.PutUint32(e[40:], crc32.Checksum(s.Bytes, castagnoli))
		binary.LittleEndian.PutUint32(e[44:], crc32.Checksum(e[:44], castagnoli))
		out = append(out, s.Bytes...)
	}
	return out
}

// Sections are the bytes of a file by name.
type Sections map[string][]byte

// Decode reads a file and checks it whole. The sections share its memory. Errors are
// *CorruptError and *VersionError.
func Decode(file []byte, version uint32) (Sections, error) {
	if len(file) < headerSize || string(file[:8]) != magic {
		return nil, &CorruptError{Reason: "this is no file of models"}
	}
	if got := binary.LittleEndian.Uint32(file[8:]); got != version {
		return nil, &VersionError{Got: got, Want: version}
	}
	n := int(binary.LittleEndian.Uint32(file[12:]))
	if n > mostEntries || len(file) < headerSize+n*entrySize {
		return nil, &CorruptError{Reason: "the file ends within its table of sections"}
	}
	out := Sections{}
	for i := range n {
		name, bytes, err := section(file, file[headerSize+i*entrySize:][:entrySize])
		if err != nil {
			return nil, err
		}
		out[name] = bytes
	}
	return out, nil
}

func section(file, e []byte) (string, []byte, error) {
	if crc32.Checksum(e[:44], castagnoli) != binary.LittleEndian.Uint32(e[44:]) {
		return "", nil, &CorruptError{Reason: "an entry of the table of sections was changed"}
	}
	name := strings.TrimRight(string(e[:nameSize]), "\x00")
	offset, size := uint64(binary.LittleEndian.Uint32(e[32:])), uint64(binary.LittleEndian.Uint32(e[36:]))
	if offset+size > uint64(len(file)) {
		return "", nil, &CorruptError{Section: name, Reason: "the file ends before it"}
	}
	bytes := file[offset : offset+size : offset+size]
	if crc32.Checksum(bytes, castagnoli) != binary.LittleEndian.Uint32(e[40:]) {
		return "", nil, &CorruptError{Section: name, Reason: "its bytes were changed"}
	}
	return name, bytes, nil
}

// Get gives a section of a size that is a multiple of unit bytes, or a CorruptError.
func (s Sections) Get(name string, unit int) ([]byte, error) {
	b, ok := s[name]
	if !ok {
		return nil, &CorruptError{Section: name, Reason: "it is missing"}
	}
	if len(b)%unit != 0 {
		return nil, &CorruptError{Section: name, Reason: fmt.Sprintf("%d bytes are no multiple of %d", len(b), unit)}
	}
	return b, nil
}
