package text

import (
	"bytes"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// Clean makes d.Text of d.Source as d.Format says. Plain text is taken as it is,
// without a copy. Of HTML the visible text is kept: scripts, styles, comments and
// frames go, blocks become paragraphs, white space collapses, the title comes first
// where the page has it.
func Clean(d *document.Document) {
	d.Segments = d.Segments[:0]
	d.Title = document.Range{}
	if d.Format != document.HTML {
		d.SetText(d.Source)
		return
	}
	c := cleaner{d: d, source: d.Source, out: d.Buffer()}
	if at, ok := c.wellFormed(); !ok {
		c.lenient(at)
	}
	c.endTitle()
	d.SetText(c.out)
}

// cleaner writes the visible text of source to out, and where it came from.
type cleaner struct {
	d      *document.Document
	source []byte
	out    []byte
	// begun and from are the open segment: out from begun on is source from from on.
	begun, from int
	inTitle     bool
	titled      bool
	keepLines   int // depth of elements that keep their line breaks
}

// copyText takes source from start to end over, with white space collapsed and
// character references decoded.
func (c *cleaner) copyText(start, end int) {
	source := c.source
	for i := start; i < end; {
		stop := i
		for stop < end && !special[source[stop]] {
			stop++
		}
		c.take(i, stop)
		if stop == end {
			return
		}
		switch {
		case source[stop] == '&':
			i = c.reference(stop, end)
		case source[stop] == ' ' && stop+1 < end && source[stop+1] > ' ' && len(c.out) > 0 && c.out[len(c.out)-1] > ' ':
			c.take(stop, stop+1)
			i = stop + 1
		default:
			i = c.space(stop, end)
		}
	}
}

// special are the bytes at which copying stops.
var special = func() (table [256]bool) {
	for c := range 33 {
		table[c] = true
	}
	table['&'] = true
	return
}()

// take appends source from start to end as it is.
func (c *cleaner) take(start, end int) {
	if start == end {
		return
	}
	if n := len(c.d.Segments); n == 0 || c.begun < 0 || c.from+len(c.out)-c.begun != start {
		c.begun, c.from = len(c.out), start
		c.d.AppendSegment(len(c.out), start, end-start, false)
	} else {
		c.d.Segments[n-1].Size += uint32(end - start)
	}
	c.out = append(c.out, c.source[start:end]...)
}

// space passes white space; what stands for it is a space, or line breaks.
func (c *cleaner) space(i, end int) int {
	lines := 0
	for i < end && c.source[i] <= ' ' {
		if c.source[i] == '\n' {
			lines++
		}
		i++
	}
	switch {
	case c.keepLines == 0 || lines == 0:
		c.separate(" ")
	case lines == 1:
		c.separate("\n")
	default:
		c.separate("\n\n")
	}
	return i
}

// separate puts white space in, unless as much is there already. It comes from
// nowhere: the segment before it ends where it begins.
func (c *cleaner) separate(s string) {
	n := len(c.out)
	for n > 0 && c.out[n-1] <= ' ' {
		n--
	}
	if n == 0 {
		return
	}
	there := c.out[n:]
	if bytes.Count(there, []byte{'\n'}) >= len(s) || s == " " && len(there) > 0 {
		return
	}
	c.out = append(c.out[:n], s...)
	if last := len(c.d.Segments) - 1; last >= 0 && int(c.d.Segments[last].Text) >= n {
		c.d.Segments = c.d.Segments[:last] // it held nothing but white space
	} else if last >= 0 && !c.d.Segments[last].Decoded {
		s := &c.d.Segments[last]
		s.Size = min(s.Size, uint32(n)-s.Text)
	}
	c.begun = -1
}

func (c *cleaner) beginTitle() {
	if c.titled {
		return
	}
	c.separate("\n\n")
	c.inTitle, c.titled = true, true
	c.d.Title.Start = uint32(len(c.out))
}

func (c *cleaner) endTitle() {
	if !c.inTitle {
		return
	}
	c.inTitle = false
	n := len(c.out)
	for n > int(c.d.Title.Start) && c.out[n-1] <= ' ' {
		n--
	}
	c.d.Title.End = uint32(n)
	c.separate("\n\n")
}
