package archive

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// DamageError says where a segment is not as it was written.
type DamageError struct {
	File   string
	Offset int64
	Why    string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("archive: %s at %d: %s", e.File, e.Offset, e.Why)
}

// Scanned is what was found in segments.
type Scanned struct {
	Segments, Frames int
	// TornBytes are at the ends of segments that a dying process left.
	TornBytes int64
}

// Scan reads all frames in a folder, oldest first. The payload is good until each
// returns. It stops at the first error of each, at damage with a *DamageError.
func Scan(folder string, each func(payload []byte) error) (Scanned, error) {
	var found Scanned
	entries, err := os.ReadDir(folder)
	if err != nil {
		return found, fmt.Errorf("archive: %w", err)
	}
	var numbers []uint64
	for _, entry := range entries {
		if number, ok := segmentNumber(entry.Name()); ok {
			numbers = append(numbers, number)
		}
	}
	slices.SortFunc(numbers, cmp.Compare[uint64])
	for _, number := range numbers {
		if err := scanSegment(filepath.Join(folder, segmentName(number)), &found, each); err != nil {
			return found, err
		}
		found.Segments++
	}
	return found, nil
}

func scanSegment(name string, found *Scanned, each func([]byte) error) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	defer file.Close()
	return scan(bufio.NewReaderSize(file, 1<<16), name, found, each)
}

// scan reads a segment.
func scan(r *bufio.Reader, name string, found *Scanned, each func([]byte) error) error {
	var head [headerSize]byte
	if n, err := io.ReadFull(r, head[:]); isEnd(err) {
		found.TornBytes += int64(n)
		return nil
	} else if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if why := checkHeader(head[:]); why != "" {
		return &DamageError{name, 0, why}
	}
	offset := int64(headerSize)
	var payload []byte
	for {
		var frame [frameSize]byte
		n, err := io.ReadFull(r, frame[:])
		if isEnd(err) {
			found.TornBytes += int64(n)
			return nil
		} else if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		length := binary.LittleEndian.Uint32(frame[:])
		if length == 0 || length > MostFrame {
			return &DamageError{name, offset, fmt.Sprintf("a frame of %d bytes", length)}
		}
		payload = slices.Grow(payload[:0], int(length))[:length]
		if n, err = io.ReadFull(r, payload); isEnd(err) {
			found.TornBytes += int64(frameSize + n)
			return nil
		} else if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if frameSum(frame[:4], payload) != binary.LittleEndian.Uint32(frame[4:]) {
			return &DamageError{name, offset, "the checksum is another"}
		}
		if err := each(payload); err != nil {
			return err
		}
		found.Frames++
		offset += int64(frameSize) + int64(length)
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
