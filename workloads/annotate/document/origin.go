package document

// Segment says where a piece of Text comes from: the bytes from Text on, up to the
// next segment's, were made from Size bytes of Source at Source. If Decoded, they
// stand for these as a whole (a character reference); otherwise they are the same
// bytes, and what follows the first Size of them was put in (white space).
type Segment struct {
	Text, Source, Size uint32
	Decoded            bool
}

// AppendSegment notes that the text from offset text on was made from size bytes of
// the source at offset source. Calls come in the order of the text.
func (d *Document) AppendSegment(text, source, size int, decoded bool) {
	d.Segments = append(d.Segments, Segment{Text: uint32(text), Source: uint32(source), Size: uint32(size), Decoded: decoded})
}

// Origin translates a range of Text into the range of Source that it was made from.
func (d *Document) Origin(start, end uint32) (from, to uint32) {
	if len(d.Segments) == 0 {
		return start, end
	}
	i := d.segment(start)
	from = d.from(i, start)
	if end <= start {
		return from, from
	}
	if i+1 < len(d.Segments) && d.Segments[i+1].Text < end {
		i = d.segment(end - 1)
	}
	return from, d.to(i, end)
}

// segment finds the last segment that begins at or before an offset.
func (d *Document) segment(at uint32) int {
	low, high := 0, len(d.Segments)
	for high-low > 1 {
		if middle := int(uint(low+high) / 2); d.Segments[middle].Text <= at {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func (d *Document) from(i int, at uint32) uint32 {
	s := &d.Segments[i]
	if s.Decoded || at < s.Text {
		return s.Source
	}
	return s.Source + min(at-s.Text, s.Size)
}

func (d *Document) to(i int, end uint32) uint32 {
	s := &d.Segments[i]
	if s.Decoded {
		return s.Source + s.Size
	}
	return s.Source + min(end-min(end, s.Text), s.Size)
}
