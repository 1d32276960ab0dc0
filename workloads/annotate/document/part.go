package document

import "bytes"

// Slice makes part the document of d's Text from start to end. It shares d's bytes:
// d must stay as it is until Join. Functions that need no more than text may run on
// parts at the same time.
func (d *Document) Slice(part *Document, start, end int) {
	part.Reset()
	part.ID, part.Format, part.Source = d.ID, Plain, d.Text[start:end:end]
	part.SetText(part.Source)
}

// Append adds the tokens, sentences, terms and entities of part, which is d's Text
// from start on, behind those that d has.
func (d *Document) Append(part *Document, start int) {
	shift, base := uint32(start), uint32(len(d.Tokens))
	for i := range part.Tokens {
		t := part.Tokens[i]
		t.Start, t.End = t.Start+shift, t.End+shift
		d.Tokens = append(d.Tokens, t)
	}
	if base > 0 && base < uint32(len(d.Tokens)) && d.Tokens[base-1].End == d.Tokens[base].Start {
		d.Tokens[base].Flags |= Glued // cut within a word
	}
	d.appendTerms(part, base)
	for i, s := range part.Sentences {
		if i == 0 && start > 0 && !bytes.HasSuffix(d.Text[:start], []byte("\n\n")) {
			s.Paragraph = false
		}
		s.Start, s.End = s.Start+base, s.End+base
		d.Sentences = append(d.Sentences, s)
	}
	for _, e := range part.Entities {
		e.Start, e.End = e.Start+base, e.End+base
		d.Entities = append(d.Entities, e)
	}
}

// appendTerms counts the part's terms with d's and points its tokens, from base on,
// to these.
func (d *Document) appendTerms(part *Document, base uint32) {
	for i := range part.Terms {
		p := &part.Terms[i]
		at := d.term(p.Word, base+p.First, d.Tokens[base+p.First].Shape)
		t := &d.Terms[at]
		t.Count += p.Count - 1
		t.Vocabulary = p.Vocabulary
		p.First = at // the part's terms are not needed any more
	}
	for i := base; i < uint32(len(d.Tokens)); i++ {
		t := &d.Tokens[i]
		t.Term = part.Terms[t.Term].First
	}
}
