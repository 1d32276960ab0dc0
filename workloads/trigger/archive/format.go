// Package archive keeps events in files: append-only segments of checksummed frames
// in one folder, bounded in bytes.
//
// # Format
//
// A segment is named by its number, 16 hexadecimal digits and ".events". All integers
// are little-endian:
//
//	header  magic "STARLEVT", uint16 version (1), uint16 0, uint64 number,
//	        int64 creation (Unix nanoseconds), uint32 CRC-32C of what stands before it
//	frame   uint32 length, uint32 CRC-32C of the length and the payload, payload
//
// A process that dies while it writes leaves a torn frame at the end of a segment; the
// next process begins a new segment, and readers tell a torn end from damage.
//
// # Durability
//
// A frame is handed to the operating system before Append returns, so it survives
// the end of the process. Whether it survives the end of the machine is what Sync
// says.
package archive

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	magic      = "STARLEVT"
	version    = 1
	headerSize = len(magic) + 2 + 2 + 8 + 8 + 4
	frameSize  = 8
	suffix     = ".events"
	// MostFrame is the longest payload of a frame.
	MostFrame = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, suffix) }

// segmentNumber reads a segment's number from its name; false if it is none.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(filepath.Base(name), suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil
}

func header(number uint64, created int64) []byte {
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint64(b, uint64(created))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// checkHeader says what is wrong with a header, "" if nothing is.
func checkHeader(b []byte) string {
	le := binary.LittleEndian
	switch {
	case string(b[:len(magic)]) != magic:
		return fmt.Sprintf("it does not begin with %q", magic)
	case crc32.Checksum(b[:headerSize-4], castagnoli) != le.Uint32(b[headerSize-4:]):
		return "its header is damaged"
	case le.Uint16(b[8:]) != version:
		return fmt.Sprintf("version %d, this program reads %d", le.Uint16(b[8:]), version)
	}
	return ""
}

func appendFrame(b, payload []byte) []byte {
	from := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, 0, 0, 0, 0)
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b[from+4:], frameSum(b[from:from+4], payload))
	return b
}

func frameSum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}
